#pragma once

// A reader of data-driven test scripts, the text format of cockroachdb/datadriven:
//
//     # a comment, between blocks only
//     command position key key=value key=(a,b, c)
//     body lines
//     ----
//     expected lines, up to the next empty line or the end
//
// The two-line form of `----`, which lets expected lines be empty, is refused: no script here uses
// it. Pure values; any thread.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"

namespace lignum::conformance {

// `key` has no values, `key=value` one, `key=(a,b)` as many as stand between the parentheses:
// `key=()` none.
struct Argument {
  std::string key;
  std::vector<std::string> values;
};

struct Block {
  // Where the command stands: "replicate_pause.txt:12".
  std::string place;
  std::string command;
  // In the order of the line; those without a value are the positions.
  std::vector<Argument> arguments;
  // Without blanks at either end.
  std::vector<std::string> body;
  // As written.
  std::vector<std::string> expected;

  // The first argument of that key; null when there is none. Lives as long as the block.
  [[nodiscard]] const Argument* find(std::string_view key) const;
  // The value of `key=value`; none where that key is absent or has not exactly one value. Lives as
  // long as the block.
  [[nodiscard]] std::optional<std::string_view> value(std::string_view key) const;
};

// Blocks of `text`, in order. `name` says in messages where it came from. kInvalidArgument naming
// the line that cannot be read.
Result<std::vector<Block>> parse_blocks(std::string_view name, std::string_view text);

// The same of a file; kIo when it cannot be read.
Result<std::vector<Block>> read_blocks(const std::filesystem::path& file);

}  // namespace lignum::conformance
