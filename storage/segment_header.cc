#include "storage/segment_header.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"
#include "storage/frame_format.h"

namespace lignum::storage {

namespace {

constexpr std::size_t kCrcFrom = 8;

}  // namespace

AlignedBuffer encode_segment_header(const SegmentHeader& header) {
  AlignedBuffer block(kBlockBytes);
  const std::span<std::byte> out = block.span();
  store_le<std::uint32_t>(out, 0, kSegmentMagic);
  store_le<std::uint32_t>(out, 8, kSegmentVersion);
  store_le<std::uint32_t>(out, 12, header.group.value());
  store_le<std::uint64_t>(out, 16, header.incarnation.value());
  store_le<std::uint64_t>(out, 24, header.segment.value());
  store_le<std::uint64_t>(out, 32, header.node.value());
  store_le<std::uint32_t>(out, 4, crc32c(block.bytes().subspan(kCrcFrom)));
  return block;
}

std::optional<SegmentHeader> decode_segment_header(Bytes block) {
  if (block.size() != kBlockBytes || load_le<std::uint32_t>(block) != kSegmentMagic ||
      load_le<std::uint32_t>(block, 4) != crc32c(block.subspan(kCrcFrom)) ||
      load_le<std::uint32_t>(block, 8) != kSegmentVersion) {
    return std::nullopt;
  }
  return SegmentHeader{.group = GroupId(load_le<std::uint32_t>(block, 12)),
                       .incarnation = GroupIncarnation(load_le<std::uint64_t>(block, 16)),
                       .segment = SegmentId(load_le<std::uint64_t>(block, 24)),
                       .node = NodeIncarnation(load_le<std::uint64_t>(block, 32))};
}

}  // namespace lignum::storage
