#include "server/stderr_sink.h"

#include <sys/poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <spdlog/common.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include "raft/mutex.h"

namespace lignum::server {

namespace {

using std::chrono::milliseconds;

// By spdlog's level, from trace on.
constexpr std::array<std::string_view, 7> kColours = {
    "\x1B[37m",        "\x1B[36m",        "\x1B[32m", "\x1B[33m\x1B[1m",
    "\x1B[31m\x1B[1m", "\x1B[31m\x1B[1m", ""};
constexpr std::string_view kPlain = "\x1B[m";

// PIPE_BUF: a pipe is writable when it takes this much (pipe(7)).
constexpr std::size_t kChunkBytes = 4096;

bool takes_chunk(int fd, milliseconds patience) {
  pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&writable, 1, static_cast<int>(patience.count())) == 1;
}

// What is left; all of `text` that cannot be written for another reason counts as written.
std::string_view write_chunks(int fd, std::string_view text, milliseconds patience) {
  while (!text.empty() && takes_chunk(fd, patience)) {
    const ssize_t count = ::write(fd, text.data(), std::min(text.size(), kChunkBytes));
    if (count < 0 && errno != EINTR && errno != EAGAIN) return {};
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return text;
}

}  // namespace

StderrSink::StderrSink(const Options& options)
    : options_(options), formatter_(std::make_unique<spdlog::pattern_formatter>()) {}

void StderrSink::set_pattern(const std::string& pattern) {
  set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern));
}

void StderrSink::set_formatter(std::unique_ptr<spdlog::formatter> formatter) {
  const MutexLock lock(mutex_);
  formatter_ = std::move(formatter);
}

bool StderrSink::has_room(milliseconds patience) const {
  return takes_chunk(options_.fd, patience);
}

std::uint64_t StderrSink::take_lost() {
  if (lost_.load() == 0 || !has_room(milliseconds(0))) return 0;
  return lost_.exchange(0);
}

void StderrSink::log(const spdlog::details::log_msg& message) {
  const MutexLock lock(mutex_);
  spdlog::memory_buf_t formatted;
  formatter_->format(message, formatted);
  std::string line(formatted.data(), formatted.size());
  if (options_.coloured && message.color_range_end > message.color_range_start) {
    line.insert(message.color_range_end, kPlain);
    line.insert(message.color_range_start, kColours.at(static_cast<std::size_t>(message.level)));
  }
  write_line(line);
}

void StderrSink::write_line(std::string_view line) {
  if (!has_room(stalled_ ? milliseconds(0) : kWaitMax)) {
    stalled_ = true;
    ++lost_;
    return;
  }
  stalled_ = false;
  if (cut_) cut_ = !write_chunks(options_.fd, "\n", milliseconds(0)).empty();
  if (write_chunks(options_.fd, line, kWaitMax).empty()) return;
  stalled_ = true;
  cut_ = true;
  ++lost_;
}

void write_last_words(std::string_view text, milliseconds patience) {
  static_cast<void>(write_chunks(STDERR_FILENO, text, patience));
}

}  // namespace lignum::server
