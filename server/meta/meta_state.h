#pragma once

// The state machine of group 0: the cluster's identity, its streams and where their shards live,
// the next producer id.
//
// Owned by a MetaGroup; called on its lane. Everything it decides (stream ids, placements, the
// epoch) is a function of the log, so every replica decides alike. A command that cannot be
// carried out is not an error of apply(): last_outcome() says what became of it. After a change of
// the catalogue table() is a new snapshot with a higher epoch.
//
// Pairs: "c" -> ClusterRecord, "t" stream id (big-endian u64) -> StreamRecord.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "net/hash_ring.h"
#include "net/routing_table.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/state_machine.h"
#include "storage/state_store.h"

namespace lignum::schema {
class CreateStream;
class InitCluster;
class MetaCommand;
}  // namespace lignum::schema

namespace lignum::server {

using ClusterId = std::array<std::byte, 16>;

struct ClusterNode {
  NodeId node;
  NodeIncarnation incarnation;
};

struct InitClusterCommand {
  ClusterId cluster{};
  ClusterNode node;
  std::vector<GroupId> data_groups;  // ascending, not empty
  // Members from the start, beside `node`.
  std::vector<ClusterNode> others;
};

struct CreateStreamCommand {
  std::string name;
  std::uint32_t shards = 0;
  std::int64_t retention_ms = -1;
  std::int64_t retention_bytes = -1;
};

// Payloads of kCommand entries. The caller has checked names and counts (stream_name.h); apply
// checks them again.
[[nodiscard]] Payload encode_init_cluster(const InitClusterCommand& command);
[[nodiscard]] Payload encode_create_stream(const CreateStreamCommand& command);
[[nodiscard]] Payload encode_delete_stream(std::string_view name);
[[nodiscard]] Payload encode_allocate_producers(std::uint32_t count);

struct ClusterInitialised {};
struct StreamCreated {
  StreamId id;
  // The same stream with the same settings was there.
  bool existed = false;
};
struct StreamDeleted {
  StreamId id;
};
struct ProducersAllocated {
  ProducerId first;
  std::uint32_t count = 0;
};
using MetaOutcome =
    std::variant<ClusterInitialised, StreamCreated, StreamDeleted, ProducersAllocated, Error>;

class MetaState final : public StateMachine {
 public:
  MetaState();

  Result<void> apply(const Entry& entry) override;
  [[nodiscard]] std::vector<storage::StateWrite> take_changes() override;
  void for_each(const std::function<void(std::string_view key, std::string_view value)>& visit)
      const override;
  Result<void> restore(std::string_view key, std::string_view value) override;
  void reset() override;

  // What the newest command became. Precondition: a command was applied.
  [[nodiscard]] const MetaOutcome& last_outcome() const;

  // None before InitCluster was applied.
  [[nodiscard]] const std::optional<ClusterId>& cluster() const { return cluster_; }
  [[nodiscard]] const std::vector<GroupId>& data_groups() const { return data_groups_; }
  // Every stream that ever was has an id below this.
  [[nodiscard]] StreamId next_stream() const { return next_stream_; }
  // The newest snapshot; never null.
  [[nodiscard]] std::shared_ptr<const net::RoutingTable> table() const;
  // Every producer id that may have been handed out is below it.
  [[nodiscard]] ProducerId next_producer() const { return next_producer_; }

 private:
  [[nodiscard]] MetaOutcome carry_out(const schema::MetaCommand& command, TimeUs now);
  [[nodiscard]] MetaOutcome init_cluster(const schema::InitCluster& command);
  [[nodiscard]] MetaOutcome create_stream(const schema::CreateStream& command, TimeUs now);
  [[nodiscard]] MetaOutcome delete_stream(const std::string& name);
  [[nodiscard]] MetaOutcome allocate_producers(std::uint32_t count);
  [[nodiscard]] const net::StreamRoute* find(std::string_view name) const;
  void catalogue_changed(StreamId stream);
  Result<void> restore_cluster(std::string_view value);
  Result<void> restore_stream(StreamId id, std::string_view value);
  [[nodiscard]] std::string cluster_record() const;

  std::optional<ClusterId> cluster_;
  std::uint32_t ring_version_ = net::kRingVersion;
  std::vector<ClusterNode> nodes_;
  std::vector<GroupId> data_groups_;
  Epoch epoch_;
  StreamId next_stream_{1};
  ProducerId next_producer_{1};
  std::map<StreamId, net::StreamRoute> streams_;
  std::map<std::string, StreamId, std::less<>> by_name_;

  std::optional<MetaOutcome> last_outcome_;
  // Made when asked for after a change: from the last one and the streams that it is behind with.
  mutable std::shared_ptr<const net::RoutingTable> table_;
  mutable std::set<StreamId> stale_streams_;
  bool cluster_changed_ = false;
  std::set<StreamId> changed_streams_;
};

}  // namespace lignum::server
