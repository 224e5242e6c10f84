#pragma once

// What may stand at the last of some words of a command line, for shells.

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 is called so
class App;
}

namespace lignum::cli {

// Names of verbs and flags, and the values of flags and verbs that take only certain ones.
[[nodiscard]] std::vector<std::string> words_at_end(const CLI::App& app,
                                                    const std::vector<std::string>& words);
// True where the last word may be the name of a stream.
[[nodiscard]] bool stream_at_end(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace lignum::cli
