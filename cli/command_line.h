#pragma once

// Words to options: the one place that knows CLI11. Help texts live here.

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

// Text to print and the program ends: --help.
struct HelpText {
  std::string text;
};

// Parses the words after the program's name; `now` is what relative times count from. The variables
// LOGCTL_ENDPOINTS, LOGCTL_CONTEXT and LOGCTL_TIMEOUT stand behind flags. kInvalidArgument says
// which word is wrong and where help is.
[[nodiscard]] Result<std::variant<CommandLine, HelpText>> parse_command_line(
    const std::vector<std::string>& words, TimeUs now);

// What the last of these words may become, for shells: names of verbs and flags, and the values of
// flags and verbs that take only certain ones.
[[nodiscard]] std::vector<std::string> complete_words(const std::vector<std::string>& words);

// True where the last of these words may be the name of a stream.
[[nodiscard]] bool stream_may_follow(const std::vector<std::string>& words);

}  // namespace lignum::cli
