#pragma once

// CRC-32C (Castagnoli, RFC 3720 B.4), the checksum of every frame, message and record batch.

#include <cstdint>

#include "raft/payload.h"

namespace lignum {

// The checksum of `bytes`. Composable: crc32c(b, crc32c(a)) is the checksum of a followed by b.
// crc32c("123456789") is 0xE3069283. Safe from any thread.
[[nodiscard]] std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0);

}  // namespace lignum
