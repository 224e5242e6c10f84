#include "cli/word_hints.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/nearest_word.h"
#include "raft/error.h"

namespace lignum::cli {

std::vector<std::string> names_of_verbs(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(verb->get_name());
  }
  return names;
}

std::vector<std::string> names_of_flags(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

VerbPlace verb_place(const CLI::App& app, const std::vector<std::string>& words) {
  VerbPlace place{.verb = &app, .next = 0};
  while (place.next < words.size()) {
    const std::string& word = words[place.next];
    if (word.starts_with("-")) {
      const CLI::Option* option = app.get_option_no_throw(word);
      const bool takes_value = option != nullptr && option->get_items_expected_max() > 0;
      place.next += takes_value ? 2 : 1;
      continue;
    }
    const auto verbs = place.verb->get_subcommands([](const CLI::App*) { return true; });
    const auto found =
        std::ranges::find_if(verbs, [&](const CLI::App* next) { return next->get_name() == word; });
    if (found == verbs.end()) break;
    place.verb = *found;
    ++place.next;
  }
  place.next = std::min(place.next, words.size());
  return place;
}

namespace {

// What other programs call it.
std::optional<std::string> synonym(std::string_view word, const std::vector<std::string>& verbs) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kSynonyms = {
      {{"list", "ls"},
       {"rm", "delete"},
       {"remove", "delete"},
       {"delete", "rm"},
       {"remove", "rm"},
       {"show", "describe"}}};
  for (const auto& [said, meant] : kSynonyms) {
    if (said == word && std::ranges::find(verbs, meant) != verbs.end()) return std::string(meant);
  }
  return std::nullopt;
}

}  // namespace

// CLI11's own message names the word at best; the next step is what helps.
Error refuse_words(const CLI::App& app, const std::vector<std::string>& words,
                   std::string_view message) {
  const auto [verb, at] = verb_place(app, words);
  std::string path;
  for (const CLI::App* above = verb; above != &app; above = above->get_parent()) {
    path.insert(0, " " + above->get_name());
  }
  const std::string help = fmt::format("'{}{} --help' says more", app.get_name(), path);
  const std::vector<std::string> verbs = names_of_verbs(*verb);
  if (at < words.size() && !verbs.empty() && !words[at].starts_with("-")) {
    auto nearest = synonym(words[at], verbs);
    if (!nearest) nearest = nearest_word(words[at], verbs);
    return Error(Errc::kInvalidArgument,
                 fmt::format("there is no verb '{}'{}; {}", words[at],
                             nearest ? fmt::format("; did you mean '{}'?", *nearest) : "", help));
  }
  const std::vector<std::string> flags = names_of_flags(*verb);
  for (const std::string& word : words) {
    if (word == "--") break;
    const std::string flag = word.substr(0, word.find('='));
    if (!flag.starts_with("--") || std::ranges::find(flags, flag) != flags.end()) continue;
    const auto nearest = nearest_word(flag, flags);
    return Error(Errc::kInvalidArgument,
                 fmt::format("there is no flag '{}' here{}; {}", flag,
                             nearest ? fmt::format("; did you mean '{}'?", *nearest) : "", help));
  }
  return Error(Errc::kInvalidArgument, fmt::format("{}; {}", message, help));
}

}  // namespace lignum::cli
