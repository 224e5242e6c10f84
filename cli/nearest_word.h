#pragma once

// "did you mean": the known word that was probably meant.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lignum::cli {

// The closest of `known` by edits (insert, delete, replace, swap neighbours); none where even that
// differs in more than a third of its letters.
[[nodiscard]] std::optional<std::string> nearest_word(std::string_view word,
                                                      const std::vector<std::string>& known);

}  // namespace lignum::cli
