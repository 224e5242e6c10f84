#pragma once

// The pairs of ShardState as bytes: keys that sort as numbers do, values as protobuf records.
//
// Key: 's' stream u64 shard u32, for a producer's session followed by producer i64, all big-endian:
// a shard sorts before its sessions. Decoding trusts nothing: whatever does not add up is kCorrupt.

#include <optional>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

struct StateKey {
  ShardKey shard;
  std::optional<ProducerId> producer;
};

[[nodiscard]] std::string shard_key_text(ShardKey key);
[[nodiscard]] std::string producer_key_text(ShardKey key, ProducerId producer);
[[nodiscard]] Result<StateKey> parse_state_key(std::string_view text);

[[nodiscard]] std::string encode_shard_record(const Shard& shard);
// Fills everything but the sessions of producers.
[[nodiscard]] Result<void> decode_shard_record(std::string_view bytes, Shard& shard);

[[nodiscard]] std::string encode_producer_record(const ProducerSession& session);
[[nodiscard]] Result<ProducerSession> decode_producer_record(std::string_view bytes);

}  // namespace lignum::server
