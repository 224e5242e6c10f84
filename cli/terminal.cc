#include "cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/exit_code.h"

namespace lignum::cli {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

bool wants_color(ColorChoice choice, bool tty) {
  if (choice == ColorChoice::kAlways) return true;
  if (choice == ColorChoice::kNever || !tty) return false;
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::string_view(term) != "dumb";
}

struct Sequence {
  std::size_t length = 0;
  // Bounds of the second byte: they rule out overlong forms, surrogates and what is beyond Unicode
  // (table 3-7 of the Unicode Standard).
  unsigned low = 0x80;
  unsigned high = 0xBF;
};

Sequence sequence_of(unsigned char lead) {
  if (lead < 0x80) return {.length = 1};
  if (lead >= 0xC2 && lead <= 0xDF) return {.length = 2};
  if (lead == 0xE0) return {.length = 3, .low = 0xA0};
  if (lead == 0xED) return {.length = 3, .high = 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {.length = 3};
  if (lead == 0xF0) return {.length = 4, .low = 0x90};
  if (lead == 0xF4) return {.length = 4, .high = 0x8F};
  if (lead >= 0xF1 && lead <= 0xF3) return {.length = 4};
  return {};
}

// Length of the well-formed UTF-8 sequence at the front, 0 for none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Sequence sequence = sequence_of(byte(0));
  if (sequence.length <= 1) return sequence.length;
  if (text.size() < sequence.length) return 0;
  if (byte(1) < sequence.low || byte(1) > sequence.high) return 0;
  for (std::size_t i = 2; i < sequence.length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return sequence.length;
}

}  // namespace

Terminal::Terminal(ColorChoice color)
    : data_is_tty_(::isatty(STDOUT_FILENO) != 0), status_is_tty_(::isatty(STDERR_FILENO) != 0) {
  color_ = wants_color(color, data_is_tty_);
}

Terminal::~Terminal() { flush(); }

void Terminal::data(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
}

bool Terminal::flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const auto written = ::write(STDOUT_FILENO, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      // Whoever read us is gone; that is how pipelines end. Anything else is worth a word.
      if (errno == EPIPE && !reader_required_) std::_Exit(static_cast<int>(ExitCode::kOk));
      error("cannot write to standard output: " + std::generic_category().message(errno));
      std::_Exit(static_cast<int>(ExitCode::kLocal));
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return true;
}

void Terminal::status(std::string_view text) {
  if (quiet_) return;
  flush();
  end_progress();
  fmt::print(stderr, "{}\n", text);
}

void Terminal::progress(std::string_view text) {
  if (quiet_ || !status_is_tty_) return;
  fmt::print(stderr, "\r\x1b[K{}", text);
  in_progress_ = true;
}

void Terminal::end_progress() {
  if (std::exchange(in_progress_, false)) fmt::print(stderr, "\r\x1b[K");
}

void Terminal::error(std::string_view text) {
  end_progress();
  fmt::print(stderr, "logctl: {}\n", visible(text));
}

std::string visible(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    // C0 and C1 controls can steer a terminal.
    const bool control =
        (lead < 0x20 && lead != '\t') || lead == 0x7F ||
        (length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    if (length == 0 || control) {
      const std::size_t count = length == 0 ? 1 : length;
      for (std::size_t i = 0; i < count; ++i) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
      }
      text.remove_prefix(count);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace lignum::cli
