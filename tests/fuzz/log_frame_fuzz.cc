// The pieces of a segment: frames, the segment header, the footer. Raw bytes must be refused or
// decoded within bounds; what was encoded comes back.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/crc32c.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

constexpr GroupIncarnation kGroup{9};
constexpr SegmentId kSegment{3};

void decode_anything(Bytes bytes) {
  if (const auto frame = storage::decode_frame(bytes, kSegment, 4096)) {
    CHECK(frame->bytes > 0);
    CHECK(frame->envelope.segment == kSegment);
  }
  static_cast<void>(storage::decode_segment_header(bytes));
  if (const auto index = storage::SegmentIndex::decode(bytes, kGroup, kSegment)) {
    CHECK(std::ranges::equal(index->encode(kGroup, kSegment), bytes));
  }
}

Entry take_entry(Input& input) {
  Entry entry;
  EntryHeader& header = entry.header;
  header.group = GroupIncarnation(input.take<std::uint64_t>());
  header.index = Index(input.take<std::uint32_t>());
  header.term = Term(input.take<std::uint32_t>());
  header.kind = static_cast<EntryKind>(1 + (input.take<std::uint8_t>() % 4));
  if (header.kind == EntryKind::kBatch) {
    header.shard = {.stream = StreamId(input.take<std::uint64_t>()),
                    .shard = ShardNumber(input.take<std::uint32_t>())};
    header.base_offset = Offset(input.take<std::uint32_t>());
    header.record_count = input.take<std::uint16_t>();
  }
  header.append_time = input.take<std::int32_t>();
  header.level_mask = input.take<std::uint32_t>();
  header.event_time_min = input.take<std::int32_t>();
  header.event_time_max = header.event_time_min + input.take<std::uint16_t>();
  header.previous_chain = {.low = input.take<std::uint64_t>(), .high = input.take<std::uint64_t>()};
  const Bytes payload = input.take_bytes(input.take<std::uint8_t>());
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.payload_crc = crc32c(payload);
  entry.payload = Payload::copy_of(payload);
  return entry;
}

void encode_and_back(const Entry& entry, Input& input) {
  std::vector<std::byte> bytes(storage::kEnvelopeBytes + storage::kEntryHeaderBytes +
                               entry.payload.size() + 64);
  const storage::Envelope envelope{.segment = kSegment, .position = 4096};
  const std::size_t length = storage::encode_entry(envelope, entry, bytes);
  bytes.resize(length);
  const auto frame = storage::decode_frame(bytes, kSegment, 4096);
  CHECK(frame.has_value() && frame->bytes == length);
  const auto* const header = std::get_if<EntryHeader>(&frame->body);
  CHECK(header != nullptr && *header == entry.header);
  CHECK(storage::payload_intact(*header,
                                Bytes(bytes).subspan(frame->payload_at(), entry.payload.size())));
  // Another place, or another segment: not this frame.
  CHECK(!storage::decode_frame(bytes, kSegment, 8192));
  CHECK(!storage::decode_frame(bytes, SegmentId(4), 4096));
  // One flipped bit before the payload is noticed.
  const std::size_t at = input.take<std::uint16_t>() % frame->payload_at();
  bytes[at] ^= static_cast<std::byte>(1U << (input.take<std::uint8_t>() % 8));
  CHECK(!storage::decode_frame(bytes, kSegment, 4096));
}

}  // namespace

void fuzz_one(Bytes bytes) {
  decode_anything(bytes);
  Input input(bytes);
  storage::SegmentIndex index;
  std::uint32_t position = 4096;
  std::uint64_t next = 1;
  while (!input.empty()) {
    Entry entry = take_entry(input);
    encode_and_back(entry, input);
    // The index wants a log's order.
    entry.header.index = Index(next++);
    index.add(entry.header, position, 512);
    position += 512;
  }
  const auto footer = index.encode(kGroup, kSegment);
  const auto back = storage::SegmentIndex::decode(footer, kGroup, kSegment);
  CHECK(back.has_value() && back->entries().size() == index.entries().size());
}

}  // namespace lignum::fuzz
