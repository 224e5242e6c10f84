#pragma once

// The five codecs of the Kafka record batch format.
//
// Pure: bytes in, bytes out, no state between calls, safe from any thread. Output is bounded: what
// would decompress beyond a cap is refused before the memory is taken.
//
//   gzip    zlib's gzip stream
//   snappy  read: a raw block, or the framing of the Java client (16-byte header, then chunks with
//           a 4-byte big-endian length); written: a raw block, as librdkafka does
//   lz4     the frame format (not the block format)
//   zstd    a stream, with or without its content size

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"

namespace lignum {

// Numbers are the attribute bits 0..2 of a record batch.
enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

// "none", "gzip", "snappy", "lz4", "zstd".
[[nodiscard]] std::string_view codec_name(Codec codec);
[[nodiscard]] std::optional<Codec> codec_from_name(std::string_view name);

// kNone copies. Fails only with kInternal, where the library refuses.
[[nodiscard]] Result<std::vector<std::byte>> compress(Codec codec, Bytes bytes);

// The whole of what was compressed. kTooLarge when it is more than `bytes_max`, kCorrupt when
// `bytes` is not exactly one stream of this codec.
[[nodiscard]] Result<std::vector<std::byte>> decompress(Codec codec, Bytes bytes,
                                                        std::size_t bytes_max);

}  // namespace lignum
