#include "net/peer_fields.h"

#include <cstdint>
#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "net/proto/peer.pb.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/types.h"
#include "storage/crc32c.h"
#include "storage/log_mark.h"

namespace lignum::net {

namespace {

EntryHeader header_of(const peer::EntryHeader& in) {
  EntryHeader header;
  header.term = Term(in.term());
  header.kind = static_cast<EntryKind>(in.kind());
  header.shard = {.stream = StreamId(in.stream()), .shard = ShardNumber(in.shard())};
  header.base_offset = Offset(in.base_offset());
  header.record_count = in.record_count();
  header.append_time = in.append_time_us();
  header.level_mask = in.level_mask();
  header.event_time_min = in.event_time_min_ms();
  header.event_time_max = in.event_time_max_ms();
  header.previous_chain = {.low = in.previous_chain_low(), .high = in.previous_chain_high()};
  header.payload_bytes = in.payload_bytes();
  header.payload_crc = in.payload_crc();
  return header;
}

}  // namespace

void put(const ReplicaId& replica, peer::Replica& out) {
  out.set_node(replica.node.value());
  out.set_incarnation(replica.incarnation.value());
}

void put(const LogId& id, peer::LogId& out) {
  out.set_term(id.term.value());
  out.set_index(id.index.value());
}

void put(const storage::LogMark& mark, peer::LogMark& out) {
  put(mark.id, *out.mutable_id());
  out.set_chain_low(mark.chain.low);
  out.set_chain_high(mark.chain.high);
  out.set_append_time_us(mark.append_time);
}

void put(const EntryHeader& header, peer::EntryHeader& out) {
  out.set_term(header.term.value());
  out.set_kind(static_cast<std::uint32_t>(header.kind));
  out.set_stream(header.shard.stream.value());
  out.set_shard(header.shard.shard.value());
  out.set_base_offset(header.base_offset.value());
  out.set_record_count(header.record_count);
  out.set_append_time_us(header.append_time);
  out.set_level_mask(header.level_mask);
  out.set_event_time_min_ms(header.event_time_min);
  out.set_event_time_max_ms(header.event_time_max);
  out.set_previous_chain_low(header.previous_chain.low);
  out.set_previous_chain_high(header.previous_chain.high);
  out.set_payload_bytes(header.payload_bytes);
  out.set_payload_crc(header.payload_crc);
}

void put(const raft::Membership& membership, peer::Membership& out) {
  for (const ReplicaId& each : membership.voters) put(each, *out.add_voters());
  for (const ReplicaId& each : membership.outgoing) put(each, *out.add_outgoing());
  for (const ReplicaId& each : membership.learners) put(each, *out.add_learners());
  for (const ReplicaId& each : membership.learners_next) put(each, *out.add_learners_next());
  out.set_auto_leave(membership.auto_leave);
  out.set_recovery(membership.recovery);
}

std::unexpected<Error> broken(const char* what) {
  return fail(Errc::kProtocol, std::string("a peer's message is malformed: ") + what);
}

ReplicaId replica_of(const peer::Replica& in) {
  return {.node = NodeId(in.node()), .incarnation = NodeIncarnation(in.incarnation())};
}

LogId log_id_of(const peer::LogId& in) {
  return {.term = Term(in.term()), .index = Index(in.index())};
}

storage::LogMark log_mark_of(const peer::LogMark& in) {
  return {.id = log_id_of(in.id()),
          .chain = {.low = in.chain_low(), .high = in.chain_high()},
          .append_time = in.append_time_us()};
}

Result<raft::Membership> membership_of(const peer::Membership& in) {
  const auto list = [](const auto& replicas) {
    std::vector<ReplicaId> out;
    for (const peer::Replica& each : replicas) out.push_back(replica_of(each));
    return out;
  };
  const int most = static_cast<int>(raft::kMembersMax);
  if (in.voters_size() > most || in.outgoing_size() > most || in.learners_size() > most ||
      in.learners_next_size() > most) {
    return broken("too many members");
  }
  raft::Membership out{.voters = list(in.voters()),
                       .outgoing = list(in.outgoing()),
                       .learners = list(in.learners()),
                       .learners_next = list(in.learners_next()),
                       .auto_leave = in.auto_leave(),
                       .recovery = in.recovery()};
  if (!raft::validate(out)) return broken("a configuration that cannot be");
  return out;
}

Result<Entry> entry_of(const peer::EntryHeader& in, const EntryPlace& place,
                       PayloadCutter& payload) {
  if (in.kind() < static_cast<std::uint32_t>(EntryKind::kNoOp) ||
      in.kind() > static_cast<std::uint32_t>(EntryKind::kCommand)) {
    return broken("an entry of an unknown kind");
  }
  Entry entry{.header = header_of(in), .payload = {}};
  entry.header.group = place.group;
  entry.header.index = place.before.index.next();
  if (entry.header.term < place.before.term) return broken("terms that do not rise");
  auto bytes = payload.cut(entry.header.payload_bytes);
  if (!bytes) return broken("an entry longer than the message");
  entry.payload = std::move(*bytes);
  if (crc32c(entry.payload.bytes()) != entry.header.payload_crc) {
    return fail(Errc::kCorrupt, "an entry that a peer sent fails its checksum");
  }
  return entry;
}

}  // namespace lignum::net
