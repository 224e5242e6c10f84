#include "net/raft_codec.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "net/message.h"
#include "net/peer_fields.h"
#include "net/peer_message.h"
#include "net/proto/peer.pb.h"
#include "net/snapshot_codec.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

// ---------------------------------------------------------------- out

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

std::optional<raft::Campaign> campaign_of(std::uint32_t kind) {
  if (kind > static_cast<std::uint32_t>(raft::Campaign::kTransfer)) return std::nullopt;
  return static_cast<raft::Campaign>(kind);
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
    TRY_ASSIGN(entry, entry_of(each, {.group = group, .before = before}, cutter));
    if (entry.header.term > out.term) return broken("terms that do not rise");
    before = entry.header.id();
    out.entries.push_back(std::move(entry));
  }
  if (!cutter.used_up()) return broken("payload that belongs to no entry");
  if (out.commit > before.index) return broken("a commit index beyond its entries");
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
      TRY_ASSIGN(membership, membership_of(header.install_snapshot().membership()));
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
    case Body::kSnapshotOffer:
    case Body::kSnapshotPull:
    case Body::kSnapshotLog:
    case Body::kSnapshotImage:
    case Body::kRepairRequest:
    case Body::kRepairReply:
    case Body::kRepairImageRequest:
    case Body::kRepairImage:
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
  if (const auto* const sent = std::get_if<raft::Message>(&message.body)) {
    header.set_recovery(sent->recovery);
    std::visit(Encoder(message.incarnation, header, encoded.payload), sent->body);
  } else {
    encode_snapshot(message, header, encoded.payload);
  }
  append_message(encoded.head, header, encoded.payload);
  return encoded;
}

Result<PeerMessage> decode_peer_message(Bytes bytes, const Payload& payload) {
  peer::PeerHeader header;
  if (!header.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return broken("it does not parse");
  }
  PeerMessage message{.group = GroupId(header.group()),
                      .incarnation = GroupIncarnation(header.incarnation()),
                      .body = {}};
  if (holds_snapshot(header)) {
    TRY(decode_snapshot(header, payload, message));
    return message;
  }
  TRY_ASSIGN(body, decode_body(header, payload));
  message.body = raft::Message{.from = replica_of(header.from()),
                               .to = replica_of(header.to()),
                               .recovery = header.recovery(),
                               .body = std::move(body)};
  return message;
}

}  // namespace lignum::net
