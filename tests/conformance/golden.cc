#include "tests/conformance/golden.h"

#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"

namespace lignum::conformance {

namespace {

namespace json = boost::json;

std::uint64_t number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? 0 : value->to_number<std::uint64_t>();
}

bool flag(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->as_bool();
}

std::string text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

std::vector<std::uint64_t> numbers(const json::object& object, std::string_view key) {
  std::vector<std::uint64_t> result;
  const json::value* value = object.if_contains(key);
  if (value != nullptr && value->is_array()) {
    for (const json::value& element : value->as_array()) {
      result.push_back(element.to_number<std::uint64_t>());
    }
  }
  return result;
}

GoldenNode node_of(const json::object& object) {
  GoldenNode node{.id = number(object, "id"),
                  .role = object.at("role").as_string().front(),
                  .term = number(object, "term"),
                  .vote = number(object, "vote"),
                  .lead = number(object, "lead"),
                  .commit = number(object, "commit"),
                  .applied = number(object, "applied"),
                  .first = number(object, "first"),
                  .last_term = number(object, "last_term"),
                  .voters = numbers(object, "voters"),
                  .outgoing = numbers(object, "outgoing"),
                  .learners = numbers(object, "learners"),
                  .log = {}};
  const json::value& log = object.at("log");
  if (log.is_array()) {
    for (const json::value& element : log.as_array()) {
      const json::object& entry = element.as_object();
      node.log.push_back({.index = number(entry, "i"),
                          .term = number(entry, "t"),
                          .kind = entry.at("k").as_string().front(),
                          .text = text(entry, "d")});
    }
  }
  return node;
}

// [index, term, "type:payload"]; type 0 is normal.
GoldenEntry entry_of(const json::array& array) {
  const std::string what(array.at(2).as_string());
  std::string text = what.substr(2);
  const char kind = what.front() != '0' ? 'C' : (text.empty() ? '0' : 'N');
  return {.index = array.at(0).to_number<std::uint64_t>(),
          .term = array.at(1).to_number<std::uint64_t>(),
          .kind = kind,
          .text = std::move(text)};
}

GoldenMessage message_of(const json::object& object) {
  GoldenMessage message{.type = text(object, "type"),
                        .from = number(object, "from"),
                        .to = number(object, "to"),
                        .term = number(object, "term"),
                        .log_term = number(object, "log_term"),
                        .index = number(object, "index"),
                        .commit = number(object, "commit"),
                        .reject = flag(object, "reject"),
                        .transfer = text(object, "ctx") == "CampaignTransfer",
                        .entries = {}};
  const json::value* entries = object.if_contains("ents");
  if (entries != nullptr && entries->is_array()) {
    for (const json::value& entry : entries->as_array()) {
      message.entries.push_back(entry_of(entry.as_array()));
    }
  }
  return message;
}

GoldenStep step_of(const json::object& object) {
  GoldenStep step{.test = text(object, "test"),
                  .pre_vote = flag(object, "prevote"),
                  .check_quorum = flag(object, "checkquorum"),
                  .lease = flag(object, "lease"),
                  .direct = flag(object, "direct"),
                  .before = node_of(object.at("pre").as_object()),
                  .message = message_of(object.at("msg").as_object()),
                  .after = node_of(object.at("post").as_object()),
                  .out = {}};
  for (const json::value& message : object.at("out").as_array()) {
    step.out.push_back(message_of(message.as_object()));
  }
  return step;
}

// Hands each line's object to `take`. Boost.JSON throws; here that ends.
template <class Take>
Result<void> read_lines(const std::filesystem::path& file, Take take) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    try {
      take(json::parse(line).as_object());
    } catch (const std::exception& error) {
      return fail(Errc::kCorrupt, file.string() + ": " + error.what());
    }
  }
  if (!in.eof()) {
    return fail(Errc::kIo, "cannot read " + file.string());
  }
  return {};
}

}  // namespace

Result<GoldenScripts> read_golden_scripts(const std::filesystem::path& file) {
  GoldenScripts scripts;
  TRY(read_lines(file, [&](const json::object& object) {
    GoldenDirective directive{.command = text(object, "cmd"), .nodes = {}};
    for (const json::value& node : object.at("nodes").as_array()) {
      directive.nodes.push_back(node_of(node.as_object()));
    }
    auto& directives = scripts[text(object, "file")];
    directives.push_back(std::move(directive));
    if (number(object, "n") != directives.size()) {
      throw std::runtime_error("directives out of order");
    }
  }));
  return scripts;
}

Result<std::vector<GoldenStep>> read_golden_steps(const std::filesystem::path& file) {
  std::vector<GoldenStep> steps;
  TRY(read_lines(file, [&](const json::object& object) { steps.push_back(step_of(object)); }));
  return steps;
}

}  // namespace lignum::conformance
