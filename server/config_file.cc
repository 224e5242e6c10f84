#include "server/config_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include "raft/error.h"

namespace lignum::server {

namespace {

struct Closer {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

}  // namespace

Result<std::string> read_config_file(const std::string& name) {
  return read_small_file(name, "configuration file");
}

Result<std::string> read_small_file(const std::string& name, std::string_view what) {
  const auto refuse = [&](std::string_view why) {
    return fail(Errc::kInvalidArgument,
                fmt::format("cannot read the {} '{}': {}", what, name, why));
  };
  const auto failed = [&](int number) { return refuse(std::generic_category().message(number)); };
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(name.c_str(), "rbe"));
  if (!file) return failed(errno);
  std::string text(kConfigBytesMax + 1, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(errno);
  if (text.size() > kConfigBytesMax) {
    return refuse(
        fmt::format("it is larger than {} bytes, so it is probably another file", kConfigBytesMax));
  }
  return text;
}

}  // namespace lignum::server
