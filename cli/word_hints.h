#pragma once

// Help for words that are wrong or not finished: what was meant, what may follow.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 is called so
class App;
}

namespace lignum::cli {

// The innermost verb that the words lead to from `app`, and the first word that is not on the way;
// flags and their values are stepped over.
struct VerbPlace {
  const CLI::App* verb = nullptr;
  std::size_t next = 0;
};
[[nodiscard]] VerbPlace verb_place(const CLI::App& app, const std::vector<std::string>& words);

[[nodiscard]] std::vector<std::string> names_of_verbs(const CLI::App& app);
// "--long" names of the verb and of what stands above it.
[[nodiscard]] std::vector<std::string> names_of_flags(const CLI::App& app);

// kInvalidArgument: the first unknown verb or flag and the one that was probably meant, else
// `message`; and where help is.
[[nodiscard]] Error refuse_words(const CLI::App& app, const std::vector<std::string>& words,
                                 std::string_view message);

}  // namespace lignum::cli
