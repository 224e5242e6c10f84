#include "storage/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/manifest.h"
#include "storage/segment_index.h"

namespace lignum::storage {

namespace {

// Frames of other shards between two wanted ones are read along rather than skipped, up to this.
constexpr std::size_t kReadGapMax = std::size_t{16} << 10;
// One read is not larger, unless a single frame is.
constexpr std::size_t kReadBytesMax = std::size_t{1} << 20;

std::unexpected<Error> damage(const Segment& segment, std::uint64_t position) {
  return fail(Errc::kCorrupt, fmt::format("{}: byte {}: the entry there fails its checksum",
                                          segment.path(), position));
}

}  // namespace

void Segment::seal(const SegmentRecord& record, std::shared_ptr<const SegmentIndex> index) {
  record_ = record;
  entry_bytes_ = 0;
  for (const IndexEntry& entry : index->entries()) entry_bytes_ += entry.bytes;
  shards_.clear();
  for (const auto& [key, batches] : index->shards()) {
    ShardSummary summary{.first = batches.front().base,
                         .end = batches.back().base + batches.back().count,
                         .bytes = 0,
                         .first_time = batches.front().append_time,
                         .last_time = batches.back().append_time};
    for (const ShardEntry& batch : batches) summary.bytes += batch.bytes;
    shards_.emplace(key, summary);
  }
  const MutexLock lock(mutex_);
  resident_ = std::move(index);
}

void Segment::release_index() {
  const MutexLock lock(mutex_);
  resident_.reset();
}

bool Segment::index_resident() const {
  const MutexLock lock(mutex_);
  return resident_ != nullptr;
}

Result<void> Segment::read_exactly(std::uint64_t position, std::span<std::byte> out) const {
  TRY_ASSIGN(read, reader_->read_at(position, out));
  if (read == out.size()) return {};
  return fail(Errc::kCorrupt, fmt::format("{}: byte {}: the file ends here; {} more bytes were "
                                          "written once",
                                          path_, position + read, out.size() - read));
}

Result<std::shared_ptr<const SegmentIndex>> Segment::load_index() const {
  {
    const MutexLock lock(mutex_);
    if (resident_ != nullptr) return resident_;
  }
  std::vector<std::byte> footer(record_.footer_bytes);
  TRY(read_exactly(record_.footer_at, footer));
  auto index = SegmentIndex::decode(footer, owner_.group, id_);
  if (!index) {
    return fail(Errc::kCorrupt, fmt::format("{}: byte {}: the footer fails its checksum", path_,
                                            record_.footer_at));
  }
  // Nothing, unless the log was truncated to here after the segment had been sealed.
  index->truncate_after(record_.after.id.index);
  return std::make_shared<const SegmentIndex>(std::move(*index));
}

Result<Entry> Segment::entry_in(const Payload& block, std::uint64_t begin,
                                const Location& at) const {
  const std::size_t offset = at.position - begin;
  const auto frame = decode_frame(block.bytes().subspan(offset, at.bytes), id_, at.position);
  if (!frame || frame->bytes != at.bytes) return damage(*this, at.position);
  const auto* header = std::get_if<EntryHeader>(&frame->body);
  if (header == nullptr) return damage(*this, at.position);
  if (header->group != owner_.group || frame->envelope.node != owner_.node) {
    return fail(Errc::kCorrupt,
                fmt::format("{}: byte {}: the entry there is one of another group or node: was a "
                            "file copied here?",
                            path_, at.position));
  }
  Entry entry{.header = *header,
              .payload = block.slice(offset + frame->payload_at(), header->payload_bytes)};
  const bool intact = payload_intact(*header, entry.payload.bytes());
  if (!intact && !mutant(Mutant::kUnverifiedRead)) return damage(*this, at.position);
  return entry;
}

Segment::Reading Segment::read(std::span<const Location> locations, std::size_t bytes_max) const {
  Reading reading;
  std::size_t taken = 0;
  std::size_t first = 0;
  // Of neighbours that are read at once; one where they could not be.
  std::size_t together = locations.size();
  while (first < locations.size() && (taken < bytes_max || first == 0)) {
    const std::uint64_t begin = locations[first].position;
    std::uint64_t end = begin + locations[first].bytes;
    std::size_t last = first + 1;
    std::size_t wanted = taken + locations[first].bytes;
    while (last < locations.size() && last - first < together && wanted < bytes_max &&
           locations[last].position <= end + kReadGapMax &&
           locations[last].position + locations[last].bytes - begin <= kReadBytesMax) {
      end = std::uint64_t{locations[last].position} + locations[last].bytes;
      wanted += locations[last].bytes;
      ++last;
    }
    // Not a vector, which would be zeroed first: half the cost of a read from the page cache.
    const std::size_t bytes = end - begin;
    auto buffer = std::make_shared_for_overwrite<std::byte[]>(bytes);
    if (auto read = read_exactly(begin, std::span(buffer.get(), bytes)); !read) {
      if (last - first > 1) {
        together = 1;
        continue;
      }
      reading.error = std::move(read).error();
      return reading;
    }
    const Payload block(buffer, Bytes(buffer.get(), bytes));
    for (; first < last; ++first) {
      auto entry = entry_in(block, begin, locations[first]);
      if (!entry) {
        reading.error = std::move(entry).error();
        return reading;
      }
      reading.entries.push_back(std::move(*entry));
    }
    taken = wanted;
  }
  return reading;
}

Result<std::vector<Entry>> Segment::read_sound(std::span<const Location> locations,
                                               std::size_t bytes_max) const {
  Reading reading = read(locations, bytes_max);
  if (reading.error) return std::unexpected(std::move(*reading.error));
  return std::move(reading.entries);
}

Result<std::shared_ptr<const SegmentIndex>> FooterCache::get(const Segment& segment) {
  const Index last = segment.record().after.id.index;
  {
    const MutexLock lock(mutex_);
    const auto found = std::find_if(cached_.begin(), cached_.end(), [&](const Cached& cached) {
      return cached.id == segment.id() && cached.last == last;
    });
    if (found != cached_.end()) {
      cached_.splice(cached_.begin(), cached_, found);
      return found->index;
    }
  }
  // Not under the lock: another reader may wait for another footer.
  TRY_ASSIGN(index, segment.load_index());
  const MutexLock lock(mutex_);
  cached_.push_front({.id = segment.id(), .last = last, .index = index});
  if (cached_.size() > kFootersMax) cached_.pop_back();
  return index;
}

}  // namespace lignum::storage
