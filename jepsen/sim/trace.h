#pragma once

// The story of a run: a hash of everything that happened, and the lines of it where somebody reads.
//
// Every noteworthy event is told with a few numbers. They are mixed into a hash whether anybody
// reads or not, so two runs with equal hashes had the same events in the same order at the same
// times: that is how determinism is proved. Text is made only for a reader.

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "net/moment.h"

namespace lignum::jepsen {

using Moment = net::Moment;

enum class TraceKind : std::uint8_t {
  kBoot,     // a node opened its directory
  kServing,  // and serves
  kCrash,    // power loss, kill or shutdown
  kPause,    // a node stands still, or goes on
  kDisk,     // a piece of disk work ran
  kPacket,   // bytes arrived at an end of a stream, or a message at a node
  kStream,   // a stream was opened or has ended
  kFault,    // the weather changed
  kOutcome,  // a client's operation ended
  kCommit,   // a replica applied an entry
  kRole,     // a replica changed its role
  kReport,   // news for a node's operator
  kPhase,    // the run goes on to its next phase
  kRare,     // a rare path was taken on purpose
  kSend,     // a node sends another one a message of consensus
};

class Trace {
 public:
  // `out` gets the lines; null: nobody reads. It outlives the trace.
  explicit Trace(std::FILE* out) : out_(out) {}

  struct Event {
    TraceKind kind;
    Moment at = 0;
    std::uint32_t who = 0;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
  };
  // `text` is called only where somebody reads.
  void note(const Event& event, const std::function<std::string()>& text);
  void note(const Event& event) { mix(event); }

  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] bool read() const { return out_ != nullptr; }

 private:
  void mix(const Event& event);

  std::FILE* const out_;
  std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

// A stable hash of text, for numbers told to a trace.
[[nodiscard]] std::uint64_t text_hash(std::string_view text);

}  // namespace lignum::jepsen
