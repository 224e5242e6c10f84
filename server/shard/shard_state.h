#pragma once

// The state machine of a data group: the shards it serves, as applied.
//
// Owned by a DataGroup; called on its lane. A shard exists from its OpenShard to its DropShard in
// this group's own log, never because a routing table says so (rule G2). Applying a batch advances
// its shard by the entry's record count and nothing else looks at records: a batch costs the same
// however many it holds. An entry that does not fit (its base offset is not the shard's next one)
// is an error of kind kCorrupt: the replica halts (rule A1).
//
// Pairs (server/group/state_machine.h): "s" stream shard -> ShardRecord, "s" stream shard producer
// -> ProducerRecord; numbers big-endian, so that keys sort as numbers do and a shard comes before
// its producers.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/state_machine.h"
#include "server/shard/producer_table.h"
#include "storage/state_store.h"

namespace lignum::schema {
class ShardCommand;
}

namespace lignum::server {

// How a shard is opened.
struct ShardSettings {
  ShardKey key;
  Offset start;
  Hash128 chain;
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // -1: unlimited; of this shard
};

struct Shard {
  Offset start;  // first offset kept
  Offset next;   // watermark
  Hash128 chain;
  TimeUs last_append = 0;
  std::int64_t retention_ms = -1;
  std::int64_t retention_bytes = -1;
  ProducerTable producers;
  friend bool operator==(const Shard&, const Shard&) = default;
};

// Payloads of kCommand entries.
[[nodiscard]] Payload encode_open_shard(const ShardSettings& settings);
[[nodiscard]] Payload encode_drop_shard(ShardKey shard);
[[nodiscard]] Payload encode_trim_shard(ShardKey shard, Offset start);
// The shard that such a payload trims or drops; none where it does neither.
[[nodiscard]] std::optional<ShardKey> shard_of_command(Bytes payload);

class ShardState final : public StateMachine {
 public:
  // Shards of one group; an OpenShard beyond it is refused before it is proposed.
  static constexpr std::size_t kShardsMax = 100'000;

  // `sessions_max` as in ProducerTable.
  explicit ShardState(std::size_t sessions_max = ProducerTable::kSessionsMax)
      : sessions_max_(sessions_max) {}

  Result<void> apply(const Entry& entry) override;
  [[nodiscard]] std::vector<storage::StateWrite> take_changes() override;
  void for_each(const std::function<void(std::string_view key, std::string_view value)>& visit)
      const override;
  Result<void> restore(std::string_view key, std::string_view value) override;
  void reset() override;

  // Null when the shard is not open here; valid until the next apply().
  [[nodiscard]] const Shard* find(ShardKey key) const;
  [[nodiscard]] const std::map<ShardKey, Shard>& shards() const { return shards_; }

 private:
  Result<void> apply_batch(const Entry& entry);
  Result<void> apply_command(const Entry& entry);
  void open(const schema::ShardCommand& command);
  void drop(ShardKey key);

  const std::size_t sessions_max_;
  std::map<ShardKey, Shard> shards_;
  // Pairs changed since take_changes(); dropped ones are absent from shards_.
  std::set<ShardKey> changed_shards_;
  std::set<std::pair<ShardKey, ProducerId>> changed_producers_;
};

}  // namespace lignum::server
