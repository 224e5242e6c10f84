#include "storage/kept_entries.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_index.h"

namespace lignum::storage {

namespace {

std::vector<IndexEntry>::const_iterator first_not_below(const SegmentIndex& index, Index wanted) {
  return std::ranges::lower_bound(index.entries(), wanted, {}, &IndexEntry::index);
}

Result<LogMark> mark_at(const Segment& segment, const Location& at) {
  TRY_ASSIGN(entries, segment.read_sound({&at, 1}, 1));
  return mark_after(entries.front().header);
}

// Gathers items, and where they end.
class Gatherer {
 public:
  Gatherer(Index after, std::size_t bytes_max) : at_(after), bytes_left_(bytes_max) {}

  [[nodiscard]] Index at() const { return at_; }
  [[nodiscard]] std::size_t bytes_left() const { return bytes_left_; }
  // Full also where one entry more would have to be read for nothing.
  [[nodiscard]] bool full() const { return bytes_left_ == 0; }

  void skip_to(const LogMark& mark) {
    if (mark.id.index <= at_) return;
    if (items_.empty() || !items_.back().skip_to) items_.emplace_back();
    items_.back().skip_to = mark;
    at_ = mark.id.index;
  }
  void add(Entry entry, std::size_t frame) {
    at_ = entry.header.index;
    items_.push_back({.skip_to = std::nullopt, .entry = std::move(entry)});
    bytes_left_ -= std::min(bytes_left_, frame);
  }
  [[nodiscard]] std::vector<KeptItem> take() { return std::move(items_); }

 private:
  Index at_;
  std::size_t bytes_left_;
  std::vector<KeptItem> items_;
};

// Adds what `segment` keeps of (items.at(), to]. False when it holds more of that.
Result<bool> gather_sealed(const Segment& segment, const SegmentIndex& index, Index to,
                           Gatherer& items) {
  std::vector<Location> wanted;
  std::size_t bytes = 0;
  auto at = first_not_below(index, items.at().next());
  for (; at != index.entries().end() && at->index <= to; ++at) {
    if (bytes >= items.bytes_left()) break;
    bytes += at->bytes;
    wanted.push_back({.position = at->position, .bytes = at->bytes});
  }
  const bool all = at == index.entries().end() || at->index > to;
  for (std::size_t next = 0; next < wanted.size();) {
    const std::vector<Location> rest(wanted.begin() + static_cast<std::ptrdiff_t>(next),
                                     wanted.end());
    TRY_ASSIGN(entries, segment.read_sound(rest, items.bytes_left()));
    for (Entry& entry : entries) {
      if (entry.header.index != items.at().next()) {
        TRY_ASSIGN(before, mark_before(segment, index, entry.header));
        items.skip_to(before);
      }
      items.add(std::move(entry), wanted[next++].bytes);
    }
    if (items.full()) return all && next == wanted.size();
  }
  return all;
}

std::optional<LogMark> boundary_at(const KeptSource& source, Index index) {
  if (index == Index(0)) return LogMark{};
  for (const SegmentPtr& segment : source.sealed) {
    if (segment->record().before.id.index == index) return segment->record().before;
    if (segment->record().after.id.index == index) return segment->record().after;
  }
  if (source.active_before.id.index == index) return source.active_before;
  return std::nullopt;
}

// Where this log stands after `index`; none where that cannot be said without the entries of a
// hole.
Result<std::optional<LogMark>> known_at(const KeptSource& source, Index index) {
  if (auto boundary = boundary_at(source, index)) return boundary;
  for (const SegmentPtr& segment : source.sealed) {
    const SegmentRecord& record = segment->record();
    if (index < record.before.id.index || index > record.after.id.index) continue;
    TRY_ASSIGN(entries, source.footers->get(*segment));
    const auto at = first_not_below(*entries, index);
    if (at == entries->entries().end() || at->index > index.next()) return std::nullopt;
    const Location place{.position = at->position, .bytes = at->bytes};
    if (at->index == index) {
      TRY_ASSIGN(mark, mark_at(*segment, place));
      return mark;
    }
    TRY_ASSIGN(next, segment->read_sound({&place, 1}, 1));
    TRY_ASSIGN(mark, mark_before(*segment, *entries, next.front().header));
    return mark;
  }
  return std::nullopt;
}

}  // namespace

LogMark mark_after(const EntryHeader& header) {
  return {.id = header.id(), .chain = chain_after(header), .append_time = header.append_time};
}

Result<LogMark> mark_before(const Segment& source, const SegmentIndex& index,
                            const EntryHeader& header) {
  const Index wanted(header.index.value() - 1);
  const auto own = first_not_below(index, header.index);
  if (own == index.entries().end() || own->index != header.index) {
    return fail(Errc::kCorrupt,
                fmt::format("{}: entry {} stands in it, and its footer does not tell of it",
                            source.path(), header.index.value()));
  }
  const bool entry = own != index.entries().begin() && std::prev(own)->index == wanted;
  const std::uint64_t position =
      entry ? std::prev(own)->position : own->position - frame_bytes(kSkipBytes, 0);
  std::vector<std::byte> bytes(frame_bytes(entry ? kEntryHeaderBytes : kSkipBytes, 0));
  TRY(source.read_exactly(position, bytes));
  const auto frame = decode_frame(bytes, source.id(), position);
  std::optional<LogMark> found;
  if (const auto* before = frame ? std::get_if<EntryHeader>(&frame->body) : nullptr) {
    found = mark_after(*before);
  } else if (const auto* skip = frame ? std::get_if<Skip>(&frame->body) : nullptr) {
    found = LogMark{.id = skip->last, .chain = skip->chain_after, .append_time = skip->append_time};
  }
  if (found && frame && group_of(*frame) == source.owner().group && found->id.index == wanted &&
      found->chain == header.previous_chain)
    return *found;
  return fail(Errc::kCorrupt, fmt::format("{}: byte {}: the frame there fails its checksum",
                                          source.path(), position));
}

Result<std::vector<KeptItem>> read_kept_items(const KeptSource& source, Index after, Index to,
                                              std::size_t bytes_max) {
  Gatherer items(after, std::max<std::size_t>(bytes_max, 1));
  for (const SegmentPtr& segment : source.sealed) {
    const SegmentRecord& record = segment->record();
    if (record.after.id.index <= items.at()) continue;
    if (items.full() || record.before.id.index >= to) return items.take();
    items.skip_to(record.before);
    TRY_ASSIGN(index, source.footers->get(*segment));
    TRY_ASSIGN(all, gather_sealed(*segment, *index, to, items));
    if (!all) return items.take();
    if (record.after.id.index <= to) items.skip_to(record.after);
  }
  if (items.full() || items.at() >= to) return items.take();
  if (source.active_before.id.index <= to) items.skip_to(source.active_before);
  if (source.found.empty()) return items.take();
  TRY_ASSIGN(entries, source.active->read_sound(source.found, items.bytes_left()));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].header.index != items.at().next()) {
      return fail(Errc::kCorrupt,
                  fmt::format("{}: byte {}: entry {} stands there, not entry {}",
                              source.active->path(), source.found[i].position,
                              entries[i].header.index.value(), items.at().next().value()));
    }
    items.add(std::move(entries[i]), source.found[i].bytes);
  }
  return items.take();
}

Result<std::optional<LogMark>> find_known_mark(const KeptSource& source,
                                               const std::vector<LogMark>& known) {
  for (const LogMark& mark : known) {
    std::optional<LogMark> here;
    const auto active =
        std::ranges::find(source.candidates, mark, &std::pair<LogMark, Location>::first);
    if (active != source.candidates.end()) {
      TRY_ASSIGN(read, mark_at(*source.active, active->second));
      here = read;
    } else {
      TRY_ASSIGN(found, known_at(source, mark.id.index));
      here = found;
    }
    if (here == mark) return mark;
  }
  return std::nullopt;
}

}  // namespace lignum::storage
