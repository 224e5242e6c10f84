#pragma once

// The one error type of the product.
//
// Expected trouble travels as Result<T>; a programmer's mistake is a CHECK (raft/check.h); a failed
// write or sync of live data stops the process. No exception crosses a floor: Boost, LevelDB and
// protobuf errors become an Error in the file that calls them.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace lignum {

// Every way an operation can fail. Numbers are wire values: never reuse one.
// tests/tidy checks that each has an exit code in cli/exit_code.cc.
enum class Errc : std::uint8_t {
  kInvalidArgument = 1,    // the request itself is wrong; repeating it cannot help
  kNotFound = 2,           // no such stream, shard, file or context
  kAlreadyExists = 3,      // a stream of that name exists with other settings
  kTooLarge = 4,           // a record, batch, message or name is over its limit
  kOffsetOutOfRange = 5,   // the offset lies above the watermark
  kTrimmed = 6,            // the offset lies below the first one kept: a gap
  kOffsetMismatch = 7,     // conditional append: the shard's next offset is another one
  kOutOfSequence = 8,      // idempotent append: a sequence number is missing
  kUnknownProducer = 9,    // the producer's session was evicted; its past cannot be known
  kProducerFenced = 10,    // a newer epoch of this producer exists
  kNotLeader = 11,         // another node leads the group, or nobody does yet
  kUnavailable = 12,       // the service cannot be reached or is not ready
  kTimeout = 13,           // the deadline passed and the operation provably did not happen
  kOverloaded = 14,        // a bounded queue is full; back off and retry
  kNoSpace = 15,           // the disk is full: appends are refused, reads and trims work
  kCorrupt = 16,           // bytes failed their checksum: damage, reported and never served
  kIo = 17,                // the operating system refused a read or an open
  kUnsupported = 18,       // a version, codec or feature this build does not have
  kShuttingDown = 19,      // the node is draining
  kUnknownOutcome = 20,    // the operation may or may not have happened
  kProtocol = 21,          // the peer broke the wire protocol
  kLocked = 22,            // another process owns the data directory
  kPermissionDenied = 23,  // the caller may not do this
  kCancelled = 24,         // the caller gave up
  kSkew = 25,              // a closed time further ahead than the clock was asked for
  kInternal = 26,          // a bug; the message says where
  kHalted = 27,            // the group stopped for damage and takes nothing until somebody acts
  kTooManyFiles = 28,      // the process may not open another file
};
inline constexpr Errc kErrcLast = Errc::kTooManyFiles;

// Stable lower-case name, such as "not-found": logs, JSON output and docs use it.
[[nodiscard]] std::string_view errc_name(Errc code);

// A code and one short sentence that says what, where, and what to do next.
class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] Errc code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

  // True where the same request, sent again later, can succeed.
  [[nodiscard]] bool may_retry() const;
  // True where the operation may have happened: an append must not be repeated without the
  // producer's sequence number.
  [[nodiscard]] bool outcome_unknown() const { return code_ == Errc::kUnknownOutcome; }

  // "not-found: stream 'app' does not exist".
  [[nodiscard]] std::string describe() const;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  Errc code_;
  std::string message_;
};

template <class T>
using Result = std::expected<T, Error>;

// return fail(Errc::kNotFound, "...");
[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string message) {
  return std::unexpected<Error>(std::in_place, code, std::move(message));
}

}  // namespace lignum

// Returns the error of `expression` from the enclosing function; otherwise goes on.
#define TRY(expression)                                              \
  do {                                                               \
    if (auto lignum_try_result = (expression); !lignum_try_result) { \
      return std::unexpected(std::move(lignum_try_result).error());  \
    }                                                                \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration takes none.
// Declares `variable` with the value of `expression`, or returns its error.
#define TRY_ASSIGN(variable, expression)                          \
  auto variable##_result = (expression);                          \
  if (!variable##_result) {                                       \
    return std::unexpected(std::move(variable##_result).error()); \
  }                                                               \
  auto variable = std::move(*variable##_result)
// NOLINTEND(bugprone-macro-parentheses)
