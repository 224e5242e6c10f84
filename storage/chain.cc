#include "storage/chain.h"

// Gives the streaming state its size, so that it can live on the stack.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#if defined(__x86_64__)
// The same functions with the widest vectors that this processor has.
#include <xxh_x86dispatch.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>

#include "raft/check.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"

namespace lignum {

namespace {

constexpr std::size_t kLinkBytes = 8 + 8 + 8 + 4 + 8;

Hash128 value_of(XXH128_hash_t hash) { return {.low = hash.low64, .high = hash.high64}; }

}  // namespace

Hash128 shard_chain(Hash128 previous, const ShardLink& link, Bytes batch) {
  CHECK(batch.size() >= kBatchHashedFrom);
  std::array<std::byte, kLinkBytes> head{};
  store_le<std::uint64_t>(head, 0, previous.low);
  store_le<std::uint64_t>(head, 8, previous.high);
  store_le<std::uint64_t>(head, 16, link.base.value());
  store_le<std::uint32_t>(head, 24, link.count);
  store_le<std::int64_t>(head, 28, link.append_time);
  const Bytes hashed = batch.subspan(kBatchHashedFrom);
  // The state is half a KiB with cache-line alignment: the stack is the place for it.
  XXH3_state_t state;
  CHECK(XXH3_128bits_reset(&state) == XXH_OK);
  CHECK(XXH3_128bits_update(&state, head.data(), head.size()) == XXH_OK);
  CHECK(XXH3_128bits_update(&state, hashed.data(), hashed.size()) == XXH_OK);
  return value_of(XXH3_128bits_digest(&state));
}

Hash128 group_chain(Bytes encoded_entry_header) {
  return value_of(XXH3_128bits(encoded_entry_header.data(), encoded_entry_header.size()));
}

}  // namespace lignum
