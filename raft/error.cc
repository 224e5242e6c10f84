#include "raft/error.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace lignum {

namespace {

constexpr std::array<std::string_view, 29> kNames = {"none",
                                                     "invalid-argument",
                                                     "not-found",
                                                     "already-exists",
                                                     "too-large",
                                                     "offset-out-of-range",
                                                     "trimmed",
                                                     "offset-mismatch",
                                                     "out-of-sequence",
                                                     "unknown-producer",
                                                     "producer-fenced",
                                                     "not-leader",
                                                     "unavailable",
                                                     "timeout",
                                                     "overloaded",
                                                     "no-space",
                                                     "corrupt",
                                                     "io",
                                                     "unsupported",
                                                     "shutting-down",
                                                     "unknown-outcome",
                                                     "protocol",
                                                     "locked",
                                                     "permission-denied",
                                                     "cancelled",
                                                     "skew",
                                                     "internal",
                                                     "halted",
                                                     "too-many-files"};

}  // namespace

std::string_view errc_name(Errc code) {
  const auto number = static_cast<std::size_t>(code);
  return number < kNames.size() ? kNames.at(number) : std::string_view("unknown-code");
}

bool Error::may_retry() const {
  return code_ == Errc::kNotLeader || code_ == Errc::kUnavailable || code_ == Errc::kTimeout ||
         code_ == Errc::kOverloaded || code_ == Errc::kNoSpace || code_ == Errc::kShuttingDown ||
         code_ == Errc::kSkew || code_ == Errc::kTooManyFiles;
}

std::string Error::describe() const { return std::string(errc_name(code_)) + ": " + message_; }

}  // namespace lignum
