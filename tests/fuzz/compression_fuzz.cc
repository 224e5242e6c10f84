// The codecs: any bytes decompress to no more than the cap or fail; what was compressed comes back.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/compression.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

void fuzz_one(Bytes bytes) {
  constexpr std::size_t kBytesMax = std::size_t{256} << 10;
  Input input(bytes);
  const auto codec = static_cast<Codec>(input.take<std::uint8_t>() % 5);
  const auto out = decompress(codec, input.rest(), kBytesMax);
  CHECK(!out || out->size() <= kBytesMax);
  const auto packed = compress(codec, input.rest());
  CHECK(packed.has_value());
  const auto back = decompress(codec, *packed, input.rest().size());
  CHECK(back.has_value() && std::ranges::equal(*back, input.rest()));
}

}  // namespace lignum::fuzz
