#include "storage/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "raft/payload.h"

namespace lignum {

std::uint32_t crc32c(Bytes bytes, std::uint32_t seed) {
  // ISA-L takes an int for the length, and leaves both inversions to the caller.
  constexpr std::size_t kChunk = std::size_t{1} << 30;
  std::uint32_t raw = ~seed;
  while (!bytes.empty()) {
    const Bytes part = bytes.first(std::min(bytes.size(), kChunk));
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): ISA-L only reads.
    auto* data = const_cast<std::byte*>(part.data());
    raw = crc32_iscsi(reinterpret_cast<unsigned char*>(data), static_cast<int>(part.size()), raw);
    bytes = bytes.subspan(part.size());
  }
  return ~raw;
}

}  // namespace lignum
