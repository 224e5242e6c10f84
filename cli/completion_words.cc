#include "cli/completion_words.h"

#include <CLI/App.hpp>
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cli/word_hints.h"

namespace lignum::cli {

namespace {

using Words = std::vector<std::string>;

// What stands before the last word, and where that leads.
struct Place {
  const CLI::App* verb = nullptr;
  // The flag whose value the last word is, or none.
  const CLI::Option* flag = nullptr;
};

const CLI::Option* flag_of(const CLI::App* verb, const std::string& word) {
  for (; verb != nullptr; verb = verb->get_parent()) {
    if (const CLI::Option* option = verb->get_option_no_throw(word)) return option;
  }
  return nullptr;
}

Place place_of(const CLI::App& app, const Words& words) {
  const Words before(words.begin(), words.empty() ? words.end() : words.end() - 1);
  Place place{.verb = verb_place(app, before).verb, .flag = nullptr};
  const bool flags_ended = std::ranges::find(before, "--") != before.end();
  if (before.empty() || flags_ended || !before.back().starts_with('-')) return place;
  const CLI::Option* option = flag_of(place.verb, before.back());
  if (option != nullptr && option->get_items_expected_max() > 0) place.flag = option;
  return place;
}

Words outputs_of(std::string_view verb) {
  if (verb == "append") return {"json"};
  if (verb == "read" || verb == "tail") {
    return {"short", "short-iso", "verbose", "cat", "raw", "json", "json-pretty", "logfmt"};
  }
  return {"table", "json"};
}

// The values of a flag that takes only certain ones, or has names for some.
Words values_of(const CLI::App& verb, const CLI::Option& flag) {
  const std::string name = flag.get_lnames().empty() ? "" : flag.get_lnames().front();
  if (name == "output") return outputs_of(verb.get_name());
  if (name == "priority" || name == "level") {
    return {"trace", "debug", "info", "notice", "warn", "error", "critical", "alert", "fatal"};
  }
  if (name == "compress") return {"none", "gzip", "snappy", "lz4", "zstd"};
  if (name == "color") return {"auto", "always", "never"};
  if (name == "retention") return {"forever"};
  if (name == "from") return {"start", "end"};
  return {};
}

Words candidates(const CLI::App& app, const Words& words) {
  const Place place = place_of(app, words);
  if (place.flag != nullptr) return values_of(*place.verb, *place.flag);
  if (!words.empty() && words.back().starts_with('-')) return names_of_flags(*place.verb);
  const std::string& verb = place.verb->get_name();
  if (verb == "log-level") return {"trace", "debug", "info", "warn", "error"};
  if (verb == "completion") return {"bash", "zsh", "fish"};
  return names_of_verbs(*place.verb);
}

}  // namespace

Words words_at_end(const CLI::App& app, const Words& words) {
  const std::string prefix = words.empty() ? std::string() : words.back();
  Words found = candidates(app, words);
  std::erase_if(found, [&](const std::string& word) { return !word.starts_with(prefix); });
  return found;
}

bool stream_at_end(const CLI::App& app, const Words& words) {
  if (words.empty() || words.back().starts_with('-')) return false;
  const Place place = place_of(app, words);
  const std::string& verb = place.verb->get_name();
  if (place.flag != nullptr) return place.flag->check_lname("stream");
  return verb == "append" || verb == "read" || verb == "tail" || verb == "describe" ||
         verb == "trim" || verb == "delete";
}

}  // namespace lignum::cli
