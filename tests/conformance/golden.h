#pragma once

// What another implementation did: the records of the oracle, read from its folder.
//
// Terms here are the oracle's. There a node begins at term 0 behind a snapshot of term 1; a core
// of this project cannot (its term is not below its log's), so it begins at term 1, and its terms
// are by one higher: kTermShift. Values; any thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"

namespace lignum::conformance {

inline constexpr std::uint64_t kTermShift = 1;

struct GoldenEntry {
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  // '0' empty, 'N' normal, 'C' a configuration.
  char kind = 'N';
  std::string text;
  friend bool operator==(const GoldenEntry&, const GoldenEntry&) = default;
};

struct GoldenNode {
  std::uint64_t id = 0;
  // 'F' follower, 'P' pre-candidate, 'C' candidate, 'L' leader.
  char role = 'F';
  std::uint64_t term = 0;
  // 0: none.
  std::uint64_t vote = 0;
  std::uint64_t lead = 0;
  std::uint64_t commit = 0;
  std::uint64_t applied = 0;
  std::uint64_t first = 1;
  std::uint64_t last_term = 0;
  std::vector<std::uint64_t> voters;
  std::vector<std::uint64_t> outgoing;
  std::vector<std::uint64_t> learners;
  std::vector<GoldenEntry> log;
};

struct GoldenDirective {
  std::string command;
  std::vector<GoldenNode> nodes;
};

// Of one file, in order.
using GoldenScripts = std::map<std::string, std::vector<GoldenDirective>>;

struct GoldenMessage {
  std::string type;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t term = 0;
  std::uint64_t log_term = 0;
  std::uint64_t index = 0;
  std::uint64_t commit = 0;
  bool reject = false;
  bool transfer = false;
  std::vector<GoldenEntry> entries;
};

struct GoldenStep {
  std::string test;
  bool pre_vote = false;
  bool check_quorum = false;
  // It would refuse a vote now because it heard a leader.
  bool lease = false;
  // The handler was called below the check of terms.
  bool direct = false;
  GoldenNode before;
  GoldenMessage message;
  GoldenNode after;
  std::vector<GoldenMessage> out;
};

// kIo or kCorrupt naming the file.
Result<GoldenScripts> read_golden_scripts(const std::filesystem::path& file);
Result<std::vector<GoldenStep>> read_golden_steps(const std::filesystem::path& file);

}  // namespace lignum::conformance
