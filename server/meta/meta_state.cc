#include "server/meta/meta_state.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/proto/commands.pb.h"
#include "net/routing_table.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/meta/placement.h"
#include "server/meta/stream_name.h"

namespace lignum::server {

namespace {

constexpr std::uint32_t kProducersAtOnceMax = 1'000'000;

bool same_settings(const net::StreamRoute& stream, const schema::CreateStream& wanted) {
  return stream.shards.size() == wanted.shards() && stream.retention_ms == wanted.retention_ms() &&
         stream.retention_bytes == wanted.retention_bytes();
}

}  // namespace

MetaState::MetaState() : table_(std::make_shared<const net::RoutingTable>()) {}

Result<void> MetaState::apply(const Entry& entry) {
  if (entry.header.kind == EntryKind::kBatch) {
    return fail(Errc::kCorrupt,
                fmt::format("entry {} of group 0 is a record batch", entry.header.index.value()));
  }
  if (entry.header.kind != EntryKind::kCommand) return {};
  schema::MetaCommand command;
  const Bytes bytes = entry.payload.bytes();
  if (!command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      command.body_case() == schema::MetaCommand::BODY_NOT_SET) {
    return fail(Errc::kCorrupt, fmt::format("entry {} of group 0 is not a command this build knows",
                                            entry.header.index.value()));
  }
  last_outcome_ = carry_out(command, entry.header.append_time);
  return {};
}

MetaOutcome MetaState::carry_out(const schema::MetaCommand& command, TimeUs now) {
  switch (command.body_case()) {
    case schema::MetaCommand::kInitCluster:
      return init_cluster(command.init_cluster());
    case schema::MetaCommand::kCreateStream:
      return create_stream(command.create_stream(), now);
    case schema::MetaCommand::kDeleteStream:
      return delete_stream(command.delete_stream().name());
    case schema::MetaCommand::kAllocateProducers:
      return allocate_producers(command.allocate_producers().count());
    case schema::MetaCommand::BODY_NOT_SET:
      break;
  }
  return Error(Errc::kInternal, "a command without a body");
}

MetaOutcome MetaState::init_cluster(const schema::InitCluster& command) {
  if (cluster_) return ClusterInitialised{};
  ClusterId id{};
  if (command.cluster_id().size() != id.size() || command.groups().empty()) {
    return Error(Errc::kInvalidArgument, "a cluster needs an id of 16 bytes and a data group");
  }
  std::memcpy(id.data(), command.cluster_id().data(), id.size());
  cluster_ = id;
  ring_version_ = command.ring_version();
  nodes_.push_back(
      {.node = NodeId(command.node()), .incarnation = NodeIncarnation(command.node_incarnation())});
  for (const schema::NodeRecord& other : command.others()) {
    nodes_.push_back(
        {.node = NodeId(other.node()), .incarnation = NodeIncarnation(other.incarnation())});
  }
  for (const std::uint32_t group : command.groups()) data_groups_.emplace_back(group);
  epoch_ = epoch_.next();
  cluster_changed_ = true;
  table_ = nullptr;
  return ClusterInitialised{};
}

MetaOutcome MetaState::create_stream(const schema::CreateStream& command, TimeUs now) {
  if (!cluster_) return Error(Errc::kUnavailable, "the cluster is not initialised yet");
  if (auto checked = check_stream_name(command.name()); !checked) return checked.error();
  if (auto checked = check_shard_count(command.shards()); !checked) return checked.error();
  if (auto checked = check_retention("retention_ms", command.retention_ms()); !checked) {
    return checked.error();
  }
  if (auto checked = check_retention("retention_bytes", command.retention_bytes()); !checked) {
    return checked.error();
  }
  if (const net::StreamRoute* stream = find(command.name())) {
    if (same_settings(*stream, command)) return StreamCreated{.id = stream->id, .existed = true};
    return Error(
        Errc::kAlreadyExists,
        fmt::format("stream '{}' exists with {} shards, retention {} ms and {} bytes", stream->name,
                    stream->shards.size(), stream->retention_ms, stream->retention_bytes));
  }
  if (streams_.size() >= kStreamsMax) {
    return Error(Errc::kOverloaded,
                 fmt::format("the cluster has {} streams; no more are taken", streams_.size()));
  }
  const StreamId id = next_stream_;
  next_stream_ = StreamId(next_stream_.value() + 1);
  streams_.emplace(id, net::StreamRoute{.id = id,
                                        .name = command.name(),
                                        .shards = place_stream(id, command.shards(), data_groups_),
                                        .retention_ms = command.retention_ms(),
                                        .retention_bytes = command.retention_bytes(),
                                        .created = now});
  by_name_.emplace(command.name(), id);
  catalogue_changed(id);
  return StreamCreated{.id = id};
}

MetaOutcome MetaState::delete_stream(const std::string& name) {
  const net::StreamRoute* stream = find(name);
  if (stream == nullptr) {
    return Error(Errc::kNotFound, fmt::format("stream '{}' does not exist", name));
  }
  const StreamId id = stream->id;
  by_name_.erase(name);
  streams_.erase(id);
  catalogue_changed(id);
  return StreamDeleted{.id = id};
}

MetaOutcome MetaState::allocate_producers(std::uint32_t count) {
  if (count == 0 || count > kProducersAtOnceMax ||
      next_producer_.value() > std::numeric_limits<std::int64_t>::max() - count) {
    return Error(Errc::kInvalidArgument, fmt::format("{} producer ids at once", count));
  }
  const ProducerId first = next_producer_;
  next_producer_ = ProducerId(first.value() + count);
  cluster_changed_ = true;
  return ProducersAllocated{.first = first, .count = count};
}

const net::StreamRoute* MetaState::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &streams_.at(found->second);
}

void MetaState::catalogue_changed(StreamId stream) {
  epoch_ = epoch_.next();
  cluster_changed_ = true;
  changed_streams_.insert(stream);
  if (table_) stale_streams_.insert(stream);
}

const MetaOutcome& MetaState::last_outcome() const {
  CHECK(last_outcome_.has_value());
  return *last_outcome_;
}

std::shared_ptr<const net::RoutingTable> MetaState::table() const {
  if (table_ && stale_streams_.empty()) return table_;
  std::shared_ptr<net::RoutingTable> next;
  if (!table_) {
    next = std::make_shared<net::RoutingTable>(epoch_, data_groups_, streams_);
  } else {
    const std::vector<StreamId> changed(stale_streams_.begin(), stale_streams_.end());
    next = std::make_shared<net::RoutingTable>(table_->changed(epoch_, changed, streams_));
  }
  next->set_next_stream(next_stream_);
  table_ = std::move(next);
  stale_streams_.clear();
  return table_;
}

void MetaState::reset() { *this = MetaState(); }

}  // namespace lignum::server
