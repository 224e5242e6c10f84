#pragma once

// The blocks of the hard state file: their layout and nothing else (docs/log_format.md).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "raft/output.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"

namespace lignum::storage {

inline constexpr std::size_t kHardStateHeaderCopies = 2;
inline constexpr std::size_t kHardStateSlots = 2;
inline constexpr std::size_t kHardStateSlotCopies = 2;
inline constexpr std::size_t kHardStateGroupBytes =
    kHardStateSlots * kHardStateSlotCopies * kBlockBytes;
inline constexpr std::uint32_t kHardStateFormatVersion = 1;

// Byte of a group's copy in the file; slot and copy are 0 or 1.
[[nodiscard]] constexpr std::uint64_t hard_state_position(GroupId group, std::size_t slot,
                                                          std::size_t copy) {
  return kHardStateHeaderCopies * kBlockBytes + group.value() * kHardStateGroupBytes +
         (slot * kHardStateSlotCopies + copy) * kBlockBytes;
}

struct HardStateHeaderBlock {
  std::uint32_t version = kHardStateFormatVersion;
  std::uint32_t groups = 0;
};

// One copy of one state. Its slot is sequence mod 2.
struct HardStateBlock {
  GroupId group;
  std::uint64_t sequence = 0;
  std::optional<raft::HardState> state;
};

// `out` is one block.
void encode_hard_state_header(const HardStateHeaderBlock& header, std::span<std::byte> out);
void encode_hard_state(const HardStateBlock& block, std::span<std::byte> out);
// None when the checksum or the kind of block is wrong.
[[nodiscard]] std::optional<HardStateHeaderBlock> decode_hard_state_header(Bytes block);
[[nodiscard]] std::optional<HardStateBlock> decode_hard_state(Bytes block);

}  // namespace lignum::storage
