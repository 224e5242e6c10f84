#include "net/raft_codec.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/message.h"
#include "net/peer_message.h"
#include "net/proto/peer.pb.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/crc32c.h"

namespace lignum::net {

namespace {

// ---------------------------------------------------------------- out

void put(const ReplicaId& replica, peer::Replica& out) {
  out.set_node(replica.node.value());
  out.set_incarnation(replica.incarnation.value());
}

void put(const LogId& id, peer::LogId& out) {
  out.set_term(id.term.value());
  out.set_index(id.index.value());
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

// Fills the header's body and gathers the payloads.
class Encoder {
 public:
  Encoder(GroupIncarnation incarnation, peer::PeerHeader& out, std::vector<Payload>& payload)
      : incarnation_(incarnation), out_(out), payload_(payload) {}

  void operator()(const raft::RequestVote& body) {
    auto& out = *out_.mutable_request_vote();
    out.set_term(body.term.value());
    put(body.last, *out.mutable_last());
    out.set_kind(static_cast<std::uint32_t>(body.kind));
  }
  void operator()(const raft::RequestVoteReply& body) {
    auto& out = *out_.mutable_request_vote_reply();
    out.set_term(body.term.value());
    out.set_candidacy(body.candidacy.value());
    out.set_kind(static_cast<std::uint32_t>(body.kind));
    out.set_granted(body.granted);
  }
  void operator()(const raft::AppendEntries& body) {
    CHECK(body.entries.size() <= kPeerEntriesMax);
    auto& out = *out_.mutable_append_entries();
    out.set_term(body.term.value());
    out.set_session(body.session);
    put(body.previous, *out.mutable_previous());
    out.set_commit(body.commit.value());
    Index expected = body.previous.index;
    for (const Entry& entry : body.entries) {
      expected = expected.next();
      CHECK(entry.header.index == expected && entry.header.group == incarnation_);
      CHECK(entry.header.payload_bytes == entry.payload.size());
      put(entry.header, *out.add_entries());
      if (!entry.payload.empty()) payload_.push_back(entry.payload);
    }
  }
  void operator()(const raft::AppendReply& body) {
    auto& out = *out_.mutable_append_reply();
    out.set_term(body.term.value());
    out.set_session(body.session);
    out.set_previous(body.previous.value());
    out.set_match(body.match.value());
    if (body.conflict) put(*body.conflict, *out.mutable_conflict());
  }
  void operator()(const raft::Heartbeat& body) {
    auto& out = *out_.mutable_heartbeat();
    out.set_term(body.term.value());
    out.set_session(body.session);
    out.set_commit(body.commit.value());
    out.set_read_sequence(body.read_sequence);
  }
  void operator()(const raft::HeartbeatReply& body) {
    auto& out = *out_.mutable_heartbeat_reply();
    out.set_term(body.term.value());
    out.set_session(body.session);
    out.set_read_sequence(body.read_sequence);
  }
  void operator()(const raft::InstallSnapshot& body) {
    auto& out = *out_.mutable_install_snapshot();
    out.set_term(body.term.value());
    out.set_session(body.session);
    put(body.snapshot.id, *out.mutable_last());
    put(body.snapshot.membership, *out.mutable_membership());
  }
  void operator()(const raft::TimeoutNow& body) {
    out_.mutable_timeout_now()->set_term(body.term.value());
  }
  void operator()(const raft::ReadRequest& body) {
    out_.mutable_read_request()->set_term(body.term.value());
    out_.mutable_read_request()->set_id(body.id);
  }
  void operator()(const raft::ReadReply& body) {
    out_.mutable_read_reply()->set_term(body.term.value());
    out_.mutable_read_reply()->set_id(body.id);
    out_.mutable_read_reply()->set_index(body.index.value());
  }

 private:
  GroupIncarnation incarnation_;
  peer::PeerHeader& out_;
  std::vector<Payload>& payload_;
};

// ---------------------------------------------------------------- in

std::unexpected<Error> broken(const char* what) {
  return fail(Errc::kProtocol, std::string("a peer's message is malformed: ") + what);
}

ReplicaId replica_of(const peer::Replica& in) {
  return {.node = NodeId(in.node()), .incarnation = NodeIncarnation(in.incarnation())};
}

LogId log_id_of(const peer::LogId& in) {
  return {.term = Term(in.term()), .index = Index(in.index())};
}

std::optional<raft::Campaign> campaign_of(std::uint32_t kind) {
  if (kind > static_cast<std::uint32_t>(raft::Campaign::kTransfer)) return std::nullopt;
  return static_cast<raft::Campaign>(kind);
}

// Cuts the payloads off one after the other.
class PayloadCutter {
 public:
  explicit PayloadCutter(const Payload& payload) : payload_(payload) {}
  std::optional<Payload> cut(std::size_t bytes) {
    if (bytes > payload_.size() - at_) return std::nullopt;
    at_ += bytes;
    return bytes == 0 ? Payload() : payload_.slice(at_ - bytes, bytes);
  }
  [[nodiscard]] bool used_up() const { return at_ == payload_.size(); }

 private:
  const Payload& payload_;
  std::size_t at_ = 0;
};

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

Result<raft::AppendEntries> decode(const peer::AppendEntries& in, GroupIncarnation group,
                                   const Payload& payload) {
  if (static_cast<std::size_t>(in.entries_size()) > kPeerEntriesMax) {
    return broken("too many entries");
  }
  raft::AppendEntries out{.term = Term(in.term()),
                          .session = in.session(),
                          .previous = log_id_of(in.previous()),
                          .commit = Index(in.commit()),
                          .entries = {}};
  // No index wraps around.
  if (in.previous().index() > UINT64_MAX / 2) return broken("an index out of bounds");
  out.entries.reserve(static_cast<std::size_t>(in.entries_size()));
  PayloadCutter cutter(payload);
  LogId before = out.previous;
  for (const peer::EntryHeader& each : in.entries()) {
    if (each.kind() < static_cast<std::uint32_t>(EntryKind::kNoOp) ||
        each.kind() > static_cast<std::uint32_t>(EntryKind::kCommand)) {
      return broken("an entry of an unknown kind");
    }
    Entry entry{.header = header_of(each), .payload = {}};
    entry.header.group = group;
    entry.header.index = before.index.next();
    if (entry.header.term < before.term || entry.header.term > out.term) {
      return broken("terms that do not rise");
    }
    auto bytes = cutter.cut(entry.header.payload_bytes);
    if (!bytes) return broken("an entry longer than the message");
    entry.payload = std::move(*bytes);
    if (crc32c(entry.payload.bytes()) != entry.header.payload_crc) {
      return fail(Errc::kCorrupt, "an entry that a peer sent fails its checksum");
    }
    before = entry.header.id();
    out.entries.push_back(std::move(entry));
  }
  if (!cutter.used_up()) return broken("payload that belongs to no entry");
  if (out.commit > before.index) return broken("a commit index beyond its entries");
  return out;
}

Result<raft::Membership> decode(const peer::Membership& in) {
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

using RaftBody = decltype(raft::Message::body);

Result<RaftBody> decode_vote(const peer::PeerHeader& header) {
  if (header.has_request_vote()) {
    const peer::RequestVote& in = header.request_vote();
    const auto kind = campaign_of(in.kind());
    if (!kind) return broken("an unknown kind of campaign");
    return raft::RequestVote{.term = Term(in.term()), .last = log_id_of(in.last()), .kind = *kind};
  }
  const peer::RequestVoteReply& in = header.request_vote_reply();
  const auto kind = campaign_of(in.kind());
  if (!kind) return broken("an unknown kind of campaign");
  return raft::RequestVoteReply{.term = Term(in.term()),
                                .candidacy = Term(in.candidacy()),
                                .kind = *kind,
                                .granted = in.granted()};
}

raft::AppendReply append_reply_of(const peer::AppendReply& in) {
  raft::AppendReply out{.term = Term(in.term()),
                        .session = in.session(),
                        .previous = Index(in.previous()),
                        .match = Index(in.match()),
                        .conflict = std::nullopt};
  if (in.has_conflict()) out.conflict = log_id_of(in.conflict());
  return out;
}

Result<RaftBody> decode_body(const peer::PeerHeader& header, const Payload& payload) {
  using Body = peer::PeerHeader::BodyCase;
  if (header.body_case() == Body::kAppendEntries) {
    TRY_ASSIGN(out,
               decode(header.append_entries(), GroupIncarnation(header.incarnation()), payload));
    return out;
  }
  if (!payload.empty()) return broken("payload that belongs to no entry");
  switch (header.body_case()) {
    case Body::kRequestVote:
    case Body::kRequestVoteReply:
      return decode_vote(header);
    case Body::kAppendReply:
      return append_reply_of(header.append_reply());
    case Body::kHeartbeat:
      return raft::Heartbeat{.term = Term(header.heartbeat().term()),
                             .session = header.heartbeat().session(),
                             .commit = Index(header.heartbeat().commit()),
                             .read_sequence = header.heartbeat().read_sequence()};
    case Body::kHeartbeatReply:
      return raft::HeartbeatReply{.term = Term(header.heartbeat_reply().term()),
                                  .session = header.heartbeat_reply().session(),
                                  .read_sequence = header.heartbeat_reply().read_sequence()};
    case Body::kInstallSnapshot: {
      TRY_ASSIGN(membership, decode(header.install_snapshot().membership()));
      return raft::InstallSnapshot{.term = Term(header.install_snapshot().term()),
                                   .session = header.install_snapshot().session(),
                                   .snapshot = {.id = log_id_of(header.install_snapshot().last()),
                                                .membership = std::move(membership)}};
    }
    case Body::kTimeoutNow:
      return raft::TimeoutNow{.term = Term(header.timeout_now().term())};
    case Body::kReadRequest:
      return raft::ReadRequest{.term = Term(header.read_request().term()),
                               .id = header.read_request().id()};
    case Body::kReadReply:
      return raft::ReadReply{.term = Term(header.read_reply().term()),
                             .id = header.read_reply().id(),
                             .index = Index(header.read_reply().index())};
    case Body::kAppendEntries:
    case Body::BODY_NOT_SET:
      break;
  }
  return broken("no body that this build knows");
}

}  // namespace

EncodedPeerMessage encode_peer_message(const PeerMessage& message) {
  EncodedPeerMessage encoded;
  peer::PeerHeader header;
  header.set_group(message.group.value());
  header.set_incarnation(message.incarnation.value());
  put(message.from(), *header.mutable_from());
  put(message.to(), *header.mutable_to());
  const auto& sent = std::get<raft::Message>(message.body);
  header.set_recovery(sent.recovery);
  std::visit(Encoder(message.incarnation, header, encoded.payload), sent.body);
  append_message(encoded.head, header, encoded.payload);
  return encoded;
}

Result<PeerMessage> decode_peer_message(Bytes bytes, const Payload& payload) {
  peer::PeerHeader header;
  if (!header.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return broken("it does not parse");
  }
  TRY_ASSIGN(body, decode_body(header, payload));
  return PeerMessage{.group = GroupId(header.group()),
                     .incarnation = GroupIncarnation(header.incarnation()),
                     .body = raft::Message{.from = replica_of(header.from()),
                                           .to = replica_of(header.to()),
                                           .recovery = header.recovery(),
                                           .body = std::move(body)}};
}

}  // namespace lignum::net
