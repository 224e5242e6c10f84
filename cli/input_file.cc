#include "cli/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "cli/record_input.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

std::string_view item_name(InputFormat format) {
  return format == InputFormat::kNull ? "item" : "line";
}

}  // namespace

InputFile::~InputFile() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

Result<void> InputFile::open() {
  if (name_ == "-") {
    descriptor_ = STDIN_FILENO;
    return {};
  }
  descriptor_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ >= 0) return {};
  return fail(Errc::kIo, "cannot open it: " + std::generic_category().message(errno));
}

Result<std::size_t> InputFile::read(char* buffer, std::size_t bytes) const {
  for (;;) {
    const auto got = ::read(descriptor_, buffer, bytes);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) {
      return fail(Errc::kIo, "cannot read it: " + std::generic_category().message(errno));
    }
    if (interrupted_ != nullptr && interrupted_->load()) return std::size_t{0};
  }
}

bool InputFile::is_terminal() const { return ::isatty(descriptor_) != 0; }

std::string InputPlace::describe() const {
  const std::string name = file == "-" ? "standard input" : file;
  return item == 0 ? name : fmt::format("{}: {} {}", name, item_name(format), item);
}

std::string InputPlace::how_to_go_on(std::string_view stream) const {
  if (file == "-") {
    return fmt::format("append your input again from {} {} on", item_name(format), item);
  }
  return fmt::format("append the rest: {} -n +{} '{}' | logctl append {}",
                     format == InputFormat::kNull ? "tail -z" : "tail", item, file, stream);
}

}  // namespace lignum::cli
