#pragma once

// The words of read and tail as they were typed, and what they mean together.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

struct ReadArguments {
  // STREAM or STREAM/SHARD, then field=value matches.
  std::vector<std::string> words;
  bool follow = false;
  bool is_tail = false;
  std::optional<std::string> lines;  // a number or "all"
  std::optional<std::string> since;
  std::optional<std::string> until;
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::optional<std::string> priority;
  std::string output = "short";
  std::optional<std::string> record_template;
  bool utc = false;
  ReadOptions options;  // what needs no meaning made of it
};

// kInvalidArgument says which of them is wrong.
[[nodiscard]] Result<ReadOptions> resolve(ReadArguments arguments, TimeUs now);

}  // namespace lignum::cli
