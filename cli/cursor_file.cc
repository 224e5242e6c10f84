#include "cli/cursor_file.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/text_file.h"
#include "raft/error.h"

namespace lignum::cli {

Result<std::optional<std::string>> load_cursor(const std::string& path) {
  TRY_ASSIGN(text, read_text_file(path));
  if (!text) return std::optional<std::string>();
  std::string line = text->substr(0, text->find('\n'));
  if (line.empty()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("cursor file '{}' is empty; remove it to begin anew", path));
  }
  return std::optional(std::move(line));
}

Result<void> store_cursor(const std::string& path, std::string_view cursor) {
  return replace_text_file(path, std::string(cursor) + "\n");
}

}  // namespace lignum::cli
