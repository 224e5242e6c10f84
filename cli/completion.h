#pragma once

// The scripts that let a shell ask logctl what may come next.

#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::cli {

// For bash, zsh or fish; kInvalidArgument for another shell. The script calls the hidden verb
// `logctl __complete -- words...`.
[[nodiscard]] Result<std::string> completion_script(std::string_view shell);

}  // namespace lignum::cli
