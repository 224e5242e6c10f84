#include "cli/completion.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::cli {

namespace {

constexpr std::string_view kBash = R"sh(# logctl completion for bash: source this file
_logctl() {
  mapfile -t COMPREPLY < <(logctl __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _logctl logctl
)sh";

// Not a raw string: clang-format takes the inside of this one for code.
constexpr std::string_view kZsh =
    "#compdef logctl\n"
    "_logctl() {\n"
    "  local -a answers\n"
    "  answers=(${(f)\"$(logctl __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "  compadd -a answers\n"
    "}\n"
    "compdef _logctl logctl\n";

constexpr std::string_view kFish = R"sh(# logctl completion for fish
complete -c logctl -f -a \
  '(logctl __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
)sh";

}  // namespace

Result<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  return fail(Errc::kInvalidArgument,
              fmt::format("no completion for '{}'; there is one for bash, zsh and fish", shell));
}

}  // namespace lignum::cli
