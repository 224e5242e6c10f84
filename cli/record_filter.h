#pragma once

// Which records a reader lets through: level, fields, a pattern to match, a pattern to leave out.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options.h"
#include "net/client.h"
#include "raft/error.h"

namespace re2 {
class RE2;
}

namespace lignum::cli {

class RecordFilter {
 public:
  // kInvalidArgument for a pattern that is none. Patterns are RE2 and, like journalctl's, ignore
  // case unless they hold a capital letter.
  [[nodiscard]] static Result<RecordFilter> make(const ReadOptions& options);
  ~RecordFilter();
  RecordFilter(RecordFilter&&) noexcept;
  RecordFilter& operator=(RecordFilter&&) noexcept;

  [[nodiscard]] bool passes(const ReadRecord& record) const;

 private:
  RecordFilter();
  std::uint32_t level_mask_ = 0;
  std::vector<Field> matches_;
  std::unique_ptr<re2::RE2> grep_;
  std::unique_ptr<re2::RE2> exclude_;
};

// Sets what matches the pattern in reverse video. kInvalidArgument as RecordFilter::make().
using Highlighter = std::function<std::string(std::string_view text)>;
[[nodiscard]] Result<Highlighter> make_highlighter(const std::string& pattern);

}  // namespace lignum::cli
