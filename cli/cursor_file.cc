#include "cli/cursor_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::cli {

namespace {

std::unexpected<Error> failure(std::string_view what, const std::string& path) {
  return fail(Errc::kIo,
              fmt::format("cannot {} cursor file '{}': {}", what, path, std::strerror(errno)));
}

}  // namespace

Result<std::optional<std::string>> load_cursor(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return std::optional<std::string>();
    return failure("read", path);
  }
  std::string line;
  if (!std::getline(file, line) || line.empty()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("cursor file '{}' is empty; remove it to begin anew", path));
  }
  return std::optional(line);
}

Result<void> store_cursor(const std::string& path, std::string_view cursor) {
  const std::string fresh = path + ".new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return failure("write", path);
  const std::string line = std::string(cursor) + "\n";
  const bool written = ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const bool synced = written && ::fsync(file) == 0;
  ::close(file);
  if (!synced || std::rename(fresh.c_str(), path.c_str()) != 0) return failure("write", path);
  return {};
}

}  // namespace lignum::cli
