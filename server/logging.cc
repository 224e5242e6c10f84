#include "server/logging.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <spdlog/common.h>
#include <spdlog/logger.h>
#include "raft/error.h"
#include "raft/mutex.h"
#include "server/group/ports.h"
#include "server/options.h"
#include "server/stderr_sink.h"

namespace lignum::server {

namespace {

using spdlog::level::level_enum;

constexpr std::array<std::pair<std::string_view, level_enum>, 5> kLevels = {
    {{"trace", level_enum::trace},
     {"debug", level_enum::debug},
     {"info", level_enum::info},
     {"warn", level_enum::warn},
     {"error", level_enum::err}}};

level_enum level_of(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return level_enum::debug;
    case Severity::kInfo:
      return level_enum::info;
    case Severity::kWarn:
      return level_enum::warn;
    case Severity::kError:
      return level_enum::err;
  }
  return level_enum::err;
}

std::string_view name_of(Severity severity) {
  const level_enum level = level_of(severity);
  for (const auto& [name, each] : kLevels) {
    if (each == level) return name;
  }
  return "error";
}

// sd-daemon(3): the priority of a line on a journal stream.
std::string_view journal_prefix(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return "<7>";
    case Severity::kInfo:
      return "<6>";
    case Severity::kWarn:
      return "<4>";
    case Severity::kError:
      return "<3>";
  }
  return "<3>";
}

std::shared_ptr<spdlog::logger> make_logger(const LoggingOptions& options,
                                            std::shared_ptr<StderrSink> sink) {
  auto logger = std::make_shared<spdlog::logger>("logd", std::move(sink));
  switch (options.format) {
    case LogFormat::kHuman:
      logger->set_pattern(options.journald ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v");
      break;
    case LogFormat::kJson:
      logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z",%v})");
      break;
    case LogFormat::kLogfmt:
      logger->set_pattern("time=%Y-%m-%dT%H:%M:%S.%f%z %v");
      break;
  }
  return logger;
}

std::int64_t second_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string escape_quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

Logging::Logging(const LoggingOptions& options)
    : sink_(std::make_shared<StderrSink>(StderrSink::Options{
          .fd = options.fd, .coloured = options.colour && options.format == LogFormat::kHuman})),
      logger_(make_logger(options, sink_)),
      format_(options.format),
      journald_(options.journald && options.format == LogFormat::kHuman) {
  if (!set_level(options.level)) logger_->set_level(level_enum::info);
}

Logging::~Logging() = default;

void Logging::write(Severity severity, std::string_view text) {
  if (!logger_->should_log(level_of(severity))) return;
  if (const std::uint64_t lost = sink_->take_lost(); lost > 0) {
    emit(Severity::kWarn, fmt::format("{} line{} of this log {} lost: nobody read stderr", lost,
                                      lost == 1 ? "" : "s", lost == 1 ? "is" : "are"));
  }
  std::uint32_t swallowed = 0;
  {
    const MutexLock lock(mutex_);
    const std::int64_t now = second_now();
    if (text == repeated_ && now == repeats_since_s_) {
      if (++repeats_ > kRepeatsMax) return;
    } else {
      swallowed = repeats_ > kRepeatsMax ? repeats_ - kRepeatsMax : 0;
      repeated_ = text;
      repeats_ = 1;
      repeats_since_s_ = now;
    }
  }
  if (swallowed > 0) {
    emit(Severity::kWarn, fmt::format("the line before was repeated {} more times", swallowed));
  }
  emit(severity, text);
}

void Logging::emit(Severity severity, std::string_view text) {
  const level_enum level = level_of(severity);
  switch (format_) {
    case LogFormat::kHuman:
      logger_->log(level, "{}{}", journald_ ? journal_prefix(severity) : "", text);
      break;
    case LogFormat::kJson:
      logger_->log(level, R"("level":"{}","message":"{}")", name_of(severity), escape_quoted(text));
      break;
    case LogFormat::kLogfmt:
      logger_->log(level, "level={} message=\"{}\"", name_of(severity), escape_quoted(text));
      break;
  }
}

Result<std::string> Logging::set_level(std::string_view level) {
  for (const auto& [name, value] : kLevels) {
    if (name != level) continue;
    std::string before = this->level();
    logger_->set_level(value);
    return before;
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a log level: trace, debug, info, warn or error", level));
}

std::string Logging::level() const {
  const level_enum current = logger_->level();
  for (const auto& [name, value] : kLevels) {
    if (value == current) return std::string(name);
  }
  return "info";
}

}  // namespace lignum::server
