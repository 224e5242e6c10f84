#include "storage/hard_state_block.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "raft/check.h"
#include "raft/hard_state.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"

namespace lignum::storage {

namespace {

// "LGHH" and "LGHS" as they stand in the file.
constexpr std::uint32_t kHeaderMagic = 0x4848474C;
constexpr std::uint32_t kStateMagic = 0x5348474C;

constexpr std::size_t kCrcAt = kBlockBytes - sizeof(std::uint32_t);

void seal(std::span<std::byte> out) {
  store_le<std::uint32_t>(out, kCrcAt, crc32c(out.first(kCrcAt)));
}

bool sealed(Bytes block, std::uint32_t magic) {
  return block.size() == kBlockBytes && load_le<std::uint32_t>(block, 0) == magic &&
         load_le<std::uint32_t>(block, kCrcAt) == crc32c(block.first(kCrcAt));
}

}  // namespace

void encode_hard_state_header(const HardStateHeaderBlock& header, std::span<std::byte> out) {
  CHECK(out.size() == kBlockBytes);
  std::ranges::fill(out, std::byte{0});
  store_le<std::uint32_t>(out, 0, kHeaderMagic);
  store_le<std::uint32_t>(out, 4, header.version);
  store_le<std::uint32_t>(out, 8, header.groups);
  seal(out);
}

std::optional<HardStateHeaderBlock> decode_hard_state_header(Bytes block) {
  if (!sealed(block, kHeaderMagic)) {
    return std::nullopt;
  }
  return HardStateHeaderBlock{.version = load_le<std::uint32_t>(block, 4),
                              .groups = load_le<std::uint32_t>(block, 8)};
}

void encode_hard_state(const HardStateBlock& block, std::span<std::byte> out) {
  CHECK(out.size() == kBlockBytes);
  std::ranges::fill(out, std::byte{0});
  store_le<std::uint32_t>(out, 0, kStateMagic);
  store_le<std::uint32_t>(out, 4, block.group.value());
  store_le<std::uint64_t>(out, 8, block.sequence);
  if (block.state) {
    const auto& [term, vote, recovery] = *block.state;
    store_le<std::uint8_t>(out, 16, 1);
    store_le<std::uint8_t>(out, 17, vote ? 1 : 0);
    store_le<std::uint32_t>(out, 20, vote ? vote->node.value() : 0);
    store_le<std::uint64_t>(out, 24, term.value());
    store_le<std::uint64_t>(out, 32, vote ? vote->incarnation.value() : 0);
    store_le<std::uint64_t>(out, 40, recovery);
  }
  seal(out);
}

std::optional<HardStateBlock> decode_hard_state(Bytes block) {
  if (!sealed(block, kStateMagic)) {
    return std::nullopt;
  }
  HardStateBlock decoded{.group = GroupId(load_le<std::uint32_t>(block, 4)),
                         .sequence = load_le<std::uint64_t>(block, 8),
                         .state = std::nullopt};
  if (load_le<std::uint8_t>(block, 16) != 0) {
    raft::HardState state{.term = Term(load_le<std::uint64_t>(block, 24)),
                          .vote = std::nullopt,
                          .recovery = load_le<std::uint64_t>(block, 40)};
    if (load_le<std::uint8_t>(block, 17) != 0 && !mutant(Mutant::kVoteLostAtRestart)) {
      state.vote = ReplicaId{.node = NodeId(load_le<std::uint32_t>(block, 20)),
                             .incarnation = NodeIncarnation(load_le<std::uint64_t>(block, 32))};
    }
    decoded.state = state;
  }
  return decoded;
}

}  // namespace lignum::storage
