// Commands and pairs of MetaState as bytes; decoding trusts nothing.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/hash_ring.h"
#include "net/proto/commands.pb.h"
#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/meta/meta_state.h"
#include "server/meta/stream_name.h"
#include "storage/byte_order.h"
#include "storage/state_store.h"

namespace lignum::server {

namespace {

constexpr std::string_view kClusterKey = "c";
constexpr std::size_t kStreamKeyBytes = 9;

Payload encode(const schema::MetaCommand& command) {
  std::vector<std::byte> bytes(command.ByteSizeLong());
  command.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return Payload(std::move(bytes));
}

std::string stream_key(StreamId id) {
  std::string key(kStreamKeyBytes, '\0');
  key[0] = 't';
  store_be<std::uint64_t>(std::as_writable_bytes(std::span(key)), 1, id.value());
  return key;
}

std::string stream_record(const net::StreamRoute& stream) {
  schema::StreamRecord record;
  record.set_name(stream.name);
  for (const GroupId group : stream.shards) record.add_shard_groups(group.value());
  record.set_retention_ms(stream.retention_ms);
  record.set_retention_bytes(stream.retention_bytes);
  record.set_created_us(stream.created);
  return record.SerializeAsString();
}

}  // namespace

Payload encode_init_cluster(const InitClusterCommand& command) {
  schema::MetaCommand out;
  schema::InitCluster& body = *out.mutable_init_cluster();
  body.set_cluster_id(command.cluster.data(), command.cluster.size());
  body.set_node(command.node.node.value());
  body.set_node_incarnation(command.node.incarnation.value());
  body.set_ring_version(net::kRingVersion);
  for (const GroupId group : command.data_groups) body.add_groups(group.value());
  for (const ClusterNode& other : command.others) {
    schema::NodeRecord& node = *body.add_others();
    node.set_node(other.node.value());
    node.set_incarnation(other.incarnation.value());
  }
  return encode(out);
}

Payload encode_create_stream(const CreateStreamCommand& command) {
  schema::MetaCommand out;
  schema::CreateStream& body = *out.mutable_create_stream();
  body.set_name(command.name);
  body.set_shards(command.shards);
  body.set_retention_ms(command.retention_ms);
  body.set_retention_bytes(command.retention_bytes);
  return encode(out);
}

Payload encode_delete_stream(std::string_view name) {
  schema::MetaCommand out;
  out.mutable_delete_stream()->set_name(name.data(), name.size());
  return encode(out);
}

Payload encode_allocate_producers(std::uint32_t count) {
  schema::MetaCommand out;
  out.mutable_allocate_producers()->set_count(count);
  return encode(out);
}

std::string MetaState::cluster_record() const {
  schema::ClusterRecord record;
  if (cluster_) record.set_cluster_id(cluster_->data(), cluster_->size());
  record.set_ring_version(ring_version_);
  for (const GroupId group : data_groups_) record.add_groups(group.value());
  record.set_epoch(epoch_.value());
  record.set_next_stream(next_stream_.value());
  record.set_next_producer(next_producer_.value());
  for (const ClusterNode& node : nodes_) {
    record.add_nodes()->set_node(node.node.value());
    record.mutable_nodes()->rbegin()->set_incarnation(node.incarnation.value());
  }
  return record.SerializeAsString();
}

std::vector<storage::StateWrite> MetaState::take_changes() {
  std::vector<storage::StateWrite> writes;
  if (std::exchange(cluster_changed_, false)) {
    writes.push_back({.key = std::string(kClusterKey), .value = cluster_record()});
  }
  for (const StreamId id : std::exchange(changed_streams_, {})) {
    const auto found = streams_.find(id);
    writes.push_back({.key = stream_key(id),
                      .value = found == streams_.end()
                                   ? std::nullopt
                                   : std::optional(stream_record(found->second))});
  }
  return writes;
}

void MetaState::for_each(
    const std::function<void(std::string_view, std::string_view)>& visit) const {
  visit(kClusterKey, cluster_record());
  for (const auto& [id, stream] : streams_) visit(stream_key(id), stream_record(stream));
}

Result<void> MetaState::restore(std::string_view key, std::string_view value) {
  if (key == kClusterKey) return restore_cluster(value);
  if (key.size() != kStreamKeyBytes || key[0] != 't') {
    return fail(Errc::kCorrupt, "a key of group 0's state has an unknown form");
  }
  return restore_stream(StreamId(load_be<std::uint64_t>(std::as_bytes(std::span(key)), 1)), value);
}

Result<void> MetaState::restore_cluster(std::string_view value) {
  schema::ClusterRecord record;
  if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return fail(Errc::kCorrupt, "the cluster's record cannot be read");
  }
  ClusterId id{};
  const bool initialised = !record.cluster_id().empty();
  // It sorts first: once, and before any stream.
  if (cluster_ || !streams_.empty() || record.next_stream() == 0 || record.next_producer() < 1 ||
      (initialised && (record.cluster_id().size() != id.size() || record.groups().empty()))) {
    return fail(Errc::kCorrupt, "the cluster's record is out of bounds");
  }
  if (initialised) {
    std::memcpy(id.data(), record.cluster_id().data(), id.size());
    cluster_ = id;
  }
  ring_version_ = record.ring_version();
  data_groups_.clear();
  for (const std::uint32_t group : record.groups()) data_groups_.emplace_back(group);
  epoch_ = Epoch(record.epoch());
  next_stream_ = StreamId(record.next_stream());
  next_producer_ = ProducerId(record.next_producer());
  nodes_.clear();
  for (const schema::NodeRecord& node : record.nodes()) {
    nodes_.push_back(
        {.node = NodeId(node.node()), .incarnation = NodeIncarnation(node.incarnation())});
  }
  table_ = nullptr;
  return {};
}

Result<void> MetaState::restore_stream(StreamId id, std::string_view value) {
  schema::StreamRecord record;
  if (!record.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
      !check_stream_name(record.name()) ||
      !check_shard_count(static_cast<std::uint32_t>(record.shard_groups_size()))) {
    return fail(Errc::kCorrupt, fmt::format("the record of stream {} cannot be read", id.value()));
  }
  if (id >= next_stream_ || streams_.contains(id)) {
    return fail(Errc::kCorrupt, fmt::format("stream {} was never created", id.value()));
  }
  if (!by_name_.emplace(record.name(), id).second) {
    return fail(Errc::kCorrupt, fmt::format("two streams are called '{}'", record.name()));
  }
  net::StreamRoute stream{.id = id,
                          .name = record.name(),
                          .shards = {},
                          .retention_ms = record.retention_ms(),
                          .retention_bytes = record.retention_bytes(),
                          .created = record.created_us()};
  for (const std::uint32_t group : record.shard_groups()) stream.shards.emplace_back(group);
  streams_.emplace(id, std::move(stream));
  table_ = nullptr;
  return {};
}

}  // namespace lignum::server
