#include "tests/conformance/datadriven.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"

namespace lignum::conformance {

namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kSeparator = "----";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

// Takes the first line off `text`, without its end.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) return line.substr(0, line.size() - 1);
  return line;
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> values;
  while (!trim(list).empty()) {
    const std::size_t comma = list.find(',');
    values.emplace_back(trim(list.substr(0, comma)));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return values;
}

// Takes one argument off a line that begins with it; none when a parenthesis is not closed.
std::optional<Argument> take_argument(std::string_view& line) {
  const std::size_t key_end = std::min(line.find_first_of(" \t="), line.size());
  Argument argument{.key = std::string(line.substr(0, key_end)), .values = {}};
  line.remove_prefix(key_end);
  if (!line.starts_with('=')) return argument;
  line.remove_prefix(1);
  if (line.starts_with('(')) {
    const std::size_t close = line.find(')');
    if (close == std::string_view::npos) return std::nullopt;
    argument.values = split_list(line.substr(1, close - 1));
    line.remove_prefix(close + 1);
    return argument;
  }
  const std::size_t end = std::min(line.find_first_of(kBlanks), line.size());
  argument.values.emplace_back(line.substr(0, end));
  line.remove_prefix(end);
  return argument;
}

// Reads one text from front to back, counting lines.
class Parser {
 public:
  Parser(std::string_view name, std::string_view text) : name_(name), rest_(text) {}

  Result<std::vector<Block>> blocks() {
    std::vector<Block> blocks;
    while (!rest_.empty()) {
      const std::string_view line = trim(next_line());
      if (line.empty() || line.starts_with('#')) continue;
      TRY_ASSIGN(block, block_of(line));
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

 private:
  std::string_view next_line() {
    ++line_number_;
    return take_line(rest_);
  }

  [[nodiscard]] std::string place() const { return name_ + ":" + std::to_string(line_number_); }

  Result<Block> block_of(std::string_view head) {
    Block block;
    block.place = place();
    const std::size_t command_end = std::min(head.find_first_of(kBlanks), head.size());
    block.command = head.substr(0, command_end);
    head.remove_prefix(command_end);
    for (head = trim(head); !head.empty(); head = trim(head)) {
      std::optional<Argument> argument = take_argument(head);
      if (!argument) return fail(Errc::kInvalidArgument, place() + ": a ')' is missing");
      block.arguments.push_back(*std::move(argument));
    }
    TRY(read_body(block));
    TRY(read_expected(block));
    return block;
  }

  Result<void> read_body(Block& block) {
    while (!rest_.empty()) {
      const std::string_view line = trim(next_line());
      if (line == kSeparator) return {};
      if (!line.empty()) block.body.emplace_back(line);
    }
    return fail(Errc::kInvalidArgument, block.place + ": no ---- follows");
  }

  Result<void> read_expected(Block& block) {
    while (!rest_.empty()) {
      const std::string_view line = next_line();
      if (line.empty()) return {};
      if (line == kSeparator && block.expected.empty()) {
        return fail(Errc::kInvalidArgument, place() + ": the form with two ---- is not read");
      }
      block.expected.emplace_back(line);
    }
    return {};
  }

  std::string name_;
  std::string_view rest_;
  std::size_t line_number_ = 0;
};

}  // namespace

const Argument* Block::find(std::string_view key) const {
  const auto found = std::ranges::find(arguments, key, &Argument::key);
  return found == arguments.end() ? nullptr : &*found;
}

std::optional<std::string_view> Block::value(std::string_view key) const {
  const Argument* argument = find(key);
  if (argument == nullptr || argument->values.size() != 1) return std::nullopt;
  return argument->values.front();
}

Result<std::vector<Block>> parse_blocks(std::string_view name, std::string_view text) {
  return Parser(name, text).blocks();
}

Result<std::vector<Block>> read_blocks(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) return fail(Errc::kIo, "cannot read " + file.string());
  return parse_blocks(file.filename().string(), text);
}

}  // namespace lignum::conformance
