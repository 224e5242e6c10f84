#pragma once

// logctl from its words to its exit code.

#include <string>
#include <vector>

namespace lignum::cli {

[[nodiscard]] int run_program(const std::vector<std::string>& words);

}  // namespace lignum::cli
