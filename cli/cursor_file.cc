#include "cli/cursor_file.h"

#include <fmt/format.h>

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/text_file.h"
#include "net/tail_cursor.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

std::unexpected<Error> damaged(const std::string& path, std::string_view what) {
  return fail(
      Errc::kCorrupt,
      fmt::format("cursor file '{}' is damaged: {}; remove it to begin without a cursor, or "
                  "put into it the line that --show-cursor told",
                  path, what));
}

}  // namespace

Result<std::optional<std::string>> load_cursor(const std::string& path) {
  auto text = read_text_file(path);
  if (!text && text.error().code() == Errc::kTooLarge) return damaged(path, text.error().message());
  TRY(text);
  const std::optional<std::string>& found = *text;
  if (!found) return std::optional<std::string>();
  std::string line = *found;
  if (line.empty()) return damaged(path, "it is empty");
  const std::size_t end = line.find('\n');
  if (end == std::string::npos) {
    return damaged(path, fmt::format("line 1 has no end, it was cut at byte {}", line.size()));
  }
  if (end + 1 != line.size()) return damaged(path, "it has more than one line");
  line.pop_back();
  if (const auto parsed = net::parse_cursor(line); !parsed) {
    return damaged(path, parsed.error().message());
  }
  return std::optional(std::move(line));
}

Result<void> check_cursor_writable(const std::string& path) {
  const auto writable = check_replaceable(path);
  if (writable) return {};
  return fail(
      writable.error().code(),
      fmt::format("the cursor could not be kept in '{}': {}; name a file that can be written "
                  "with --cursor-file",
                  path, writable.error().message()));
}

Result<void> store_cursor(const std::string& path, std::string_view cursor) {
  return replace_text_file(path, std::string(cursor) + "\n");
}

}  // namespace lignum::cli
