#include "cli/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "raft/error.h"

namespace lignum::cli {

namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;

class OpenFile {
 public:
  OpenFile(const std::string& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<Error> failure(std::string_view what, const std::string& path) {
  return fail(Errc::kIo, fmt::format("cannot {} '{}': {}", what, path,
                                     std::generic_category().message(errno)));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string fresh_name(const std::string& path) { return path + ".new"; }

// The text under a name beside `path`, on disk.
Result<void> write_fresh(const std::string& path, std::string_view text) {
  const std::string fresh = fresh_name(path);
  const OpenFile file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.fd() < 0) return failure("write", fresh);
  if (write_all(file.fd(), text) && ::fsync(file.fd()) == 0) return {};
  auto failed = failure("write", fresh);
  std::remove(fresh.c_str());
  return failed;
}

// Renaming onto a device or a pipe would take its place.
Result<void> require_ordinary(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return {};
  return fail(Errc::kIo, fmt::format("'{}' is not an ordinary file", path));
}

}  // namespace

Result<std::optional<std::string>> read_text_file(const std::string& path) {
  const OpenFile file(path, O_RDONLY);
  if (file.fd() < 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return failure("read", path);
  }
  std::string text;
  std::array<char, 4096> chunk{};
  while (true) {
    const auto got = ::read(file.fd(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", path);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kFileBytesMax) {
      return fail(Errc::kTooLarge, fmt::format("'{}' is larger than 1 MiB", path));
    }
  }
}

Result<void> replace_text_file(const std::string& path, std::string_view text) {
  TRY(require_ordinary(path));
  TRY(write_fresh(path, text));
  if (std::rename(fresh_name(path).c_str(), path.c_str()) != 0) return failure("replace", path);
  const std::string parent = std::filesystem::path(path).parent_path();
  const OpenFile directory(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY);
  if (directory.fd() < 0 || ::fsync(directory.fd()) != 0) return failure("sync", path);
  return {};
}

Result<void> check_replaceable(const std::string& path) {
  TRY(require_ordinary(path));
  TRY(write_fresh(path, "\n"));
  if (std::remove(fresh_name(path).c_str()) != 0) return failure("remove", fresh_name(path));
  return {};
}

}  // namespace lignum::cli
