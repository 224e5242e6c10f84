#include "cli/record_filter.h"

#include <fmt/format.h>
#include <re2/re2.h>
#include <re2/stringpiece.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/options.h"
#include "net/client.h"
#include "raft/error.h"
#include "storage/level.h"

namespace lignum::cli {

namespace {

Result<std::unique_ptr<re2::RE2>> compile(const std::optional<std::string>& pattern) {
  if (!pattern) return std::unique_ptr<re2::RE2>();
  RE2::Options options(RE2::Quiet);
  const bool capital = std::ranges::any_of(
      *pattern, [](char character) { return std::isupper(static_cast<unsigned char>(character)); });
  options.set_case_sensitive(capital);
  auto compiled = std::make_unique<re2::RE2>(*pattern, options);
  if (compiled->ok()) return compiled;
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a regular expression: {}", *pattern, compiled->error()));
}

bool matches(const ReadRecord& record, const Field& wanted) {
  return std::ranges::any_of(record.fields, [&](const FieldView& field) {
    return field.name == wanted.name && field.value == wanted.value;
  });
}

}  // namespace

RecordFilter::RecordFilter() = default;
RecordFilter::~RecordFilter() = default;
RecordFilter::RecordFilter(RecordFilter&&) noexcept = default;
RecordFilter& RecordFilter::operator=(RecordFilter&&) noexcept = default;

Result<RecordFilter> RecordFilter::make(const ReadOptions& options) {
  RecordFilter filter;
  filter.level_mask_ = options.level_mask;
  filter.matches_ = options.matches;
  TRY_ASSIGN(grep, compile(options.grep));
  TRY_ASSIGN(exclude, compile(options.exclude));
  filter.grep_ = std::move(grep);
  filter.exclude_ = std::move(exclude);
  return filter;
}

bool RecordFilter::passes(const ReadRecord& record) const {
  if ((level_bit(record.level) & level_mask_) == 0) return false;
  for (const Field& wanted : matches_) {
    if (!matches(record, wanted)) return false;
  }
  const re2::StringPiece value(reinterpret_cast<const char*>(record.value.data()),
                               record.value.size());
  if (grep_ && !RE2::PartialMatch(value, *grep_)) return false;
  return !exclude_ || !RE2::PartialMatch(value, *exclude_);
}

Result<Highlighter> make_highlighter(const std::string& pattern) {
  TRY_ASSIGN(compiled, compile(pattern));
  // A function object must be copyable.
  const std::shared_ptr<const re2::RE2> shared = std::move(compiled);
  return [shared](std::string_view text) {
    std::string out;
    const re2::StringPiece whole(text.data(), text.size());
    std::size_t at = 0;
    re2::StringPiece match;
    while (at < text.size() && shared->Match(whole, at, text.size(), RE2::UNANCHORED, &match, 1)) {
      const auto begin = static_cast<std::size_t>(match.data() - text.data());
      if (match.empty()) {
        // An empty match shows nothing; step over one byte.
        out += text.substr(at, begin + 1 - at);
        at = begin + 1;
        continue;
      }
      out += text.substr(at, begin - at);
      out += "\x1b[7m";
      out += text.substr(begin, match.size());
      out += "\x1b[27m";
      at = begin + match.size();
    }
    return at < text.size() ? out + std::string(text.substr(at)) : out;
  };
}

}  // namespace lignum::cli
