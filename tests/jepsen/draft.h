#pragma once

// A history that can still be changed, random ones, and a brute-force opinion about small ones.

#include <cstdint>
#include <map>
#include <vector>

#include "jepsen/check/history.h"
#include "raft/random.h"

namespace lignum::jepsen {

using Values = std::vector<Value>;

struct DraftRead {
  Read read;
  Values values;
};
struct DraftTail {
  Tail tail;
  Values values;
};
struct DraftLog {
  Offset start;
  Values values;
};
// A further piece of a replica's log.
struct DraftPiece {
  LogPiece piece;
  Values values;
};

// The parts of a ShardHistory, open to mutation.
struct Draft {
  std::vector<Append> appends;
  std::vector<DraftRead> reads;
  std::vector<Trimmed> trimmed;
  std::vector<DraftTail> tails;
  std::vector<Trim> trims;
  std::vector<Watermark> watermarks;
  std::vector<Chain> chains;
  std::map<std::uint32_t, DraftLog> logs;
  std::vector<DraftPiece> more_logs;

  [[nodiscard]] ShardHistory build() const;
};

struct DraftOptions {
  // Operations of clients.
  std::uint64_t operations = 1000;
  // The most that one append may hold.
  std::uint32_t batch_max = 3;
  std::uint32_t replicas = 3;
  std::uint32_t producers = 4;
  std::uint32_t tails = 2;
  // Of 100 operations, conditional appends; a third of them is refused.
  std::uint64_t conditional = 10;
  // How far calls and answers lie from the moment in between; moments are 10 apart.
  std::uint64_t spread = 60;
  bool trims = true;
};

// A history that one log can have: every kind of operation, outcomes known and unknown.
[[nodiscard]] Draft good_history(Random& random, const DraftOptions& options);

// A few operations, mostly good, often with a few changes that may or may not be noticed.
[[nodiscard]] Draft small_history(Random& random, bool trims);

// Few appends among many refused conditional ones, at random times: whether they fit is open.
[[nodiscard]] Draft refused_history(Random& random);

// Tries every order of the operations. Appends, reads, tails (as reads) and refusals; of trims only
// that the log's start is unknown. Exponential: for some nine operations.
[[nodiscard]] bool has_linearization(const Draft& draft);

}  // namespace lignum::jepsen
