// Peer messages: what is encoded comes back, what was never encoded is refused.

#include <gtest/gtest.h>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/message.h"
#include "net/peer_message.h"
#include "net/proto/peer.pb.h"
#include "net/raft_codec.h"
#include "net/repair_messages.h"
#include "net/snapshot_messages.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/crc32c.h"
#include "storage/log_mark.h"

namespace lignum::net {
namespace {

constexpr GroupIncarnation kGroup{77};
constexpr ReplicaId kOne{.node = NodeId(1), .incarnation = NodeIncarnation(11)};
constexpr ReplicaId kTwo{.node = NodeId(2), .incarnation = NodeIncarnation(22)};

using Body = decltype(raft::Message::body);

PeerMessage message(Body body) {
  return {.group = GroupId(3),
          .incarnation = kGroup,
          .body = raft::Message{.from = kOne, .to = kTwo, .recovery = 5, .body = std::move(body)}};
}

Entry entry(std::uint64_t index, std::uint64_t term, std::string_view payload) {
  Entry made;
  made.payload = Payload::copy_of(std::as_bytes(std::span(payload)));
  made.header = {.group = kGroup,
                 .index = Index(index),
                 .term = Term(term),
                 .kind = EntryKind::kBatch,
                 .shard = {.stream = StreamId(4), .shard = ShardNumber(5)},
                 .base_offset = Offset(6),
                 .record_count = 7,
                 .append_time = 8,
                 .level_mask = 9,
                 .event_time_min = -10,
                 .event_time_max = 11,
                 .previous_chain = {.low = 12, .high = 13},
                 .payload_bytes = static_cast<std::uint32_t>(payload.size()),
                 .payload_crc = crc32c(made.payload.bytes())};
  return made;
}

struct Cut {
  std::vector<std::byte> header;
  Payload payload;
};
// As the receiver's MessageReader cuts it.
Cut cut(const EncodedPeerMessage& encoded) {
  MessageReader reader(kPeerLimits);
  const auto put = [&reader](Bytes bytes) {
    while (!bytes.empty()) {
      const auto room = reader.prepare();
      const std::size_t n = std::min(room.size(), bytes.size());
      std::ranges::copy(bytes.first(n), room.begin());
      reader.commit(n);
      bytes = bytes.subspan(n);
    }
  };
  put(encoded.head);
  for (const Payload& slice : encoded.payload) put(slice.bytes());
  auto received = reader.next();
  EXPECT_TRUE(received && *received);
  return {.header = {(*received)->header.begin(), (*received)->header.end()},
          .payload = (*received)->payload};
}

Result<PeerMessage> through(const PeerMessage& sent) {
  const Cut received = cut(encode_peer_message(sent));
  return decode_peer_message(received.header, received.payload);
}

template <class T>
T back(Body body) {
  const auto received = through(message(std::move(body)));
  EXPECT_TRUE(received) << received.error().message();
  EXPECT_EQ(received->group, GroupId(3));
  EXPECT_EQ(received->incarnation, kGroup);
  EXPECT_EQ(received->from(), kOne);
  EXPECT_EQ(received->to(), kTwo);
  EXPECT_EQ(std::get<raft::Message>(received->body).recovery, 5U);
  return std::get<T>(std::get<raft::Message>(received->body).body);
}

TEST(RaftCodecTest, EntriesComeBackWhole) {
  const raft::AppendEntries sent{
      .term = Term(4),
      .session = 9,
      .previous = {.term = Term(2), .index = Index(40)},
      .commit = Index(42),
      .entries = {entry(41, 2, "one"), entry(42, 3, ""), entry(43, 4, "three")}};
  const auto received = back<raft::AppendEntries>(sent);
  EXPECT_EQ(received.term, sent.term);
  EXPECT_EQ(received.session, sent.session);
  EXPECT_EQ(received.previous, sent.previous);
  EXPECT_EQ(received.commit, sent.commit);
  ASSERT_EQ(received.entries.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(received.entries[i].header, sent.entries[i].header);
    EXPECT_TRUE(
        std::ranges::equal(received.entries[i].payload.bytes(), sent.entries[i].payload.bytes()));
  }
}

TEST(RaftCodecTest, VotesComeBack) {
  for (const auto kind :
       {raft::Campaign::kPreVote, raft::Campaign::kElection, raft::Campaign::kTransfer}) {
    const auto request = back<raft::RequestVote>(raft::RequestVote{
        .term = Term(7), .last = {.term = Term(6), .index = Index(8)}, .kind = kind});
    EXPECT_EQ(request.term, Term(7));
    EXPECT_EQ(request.last.index, Index(8));
    EXPECT_EQ(request.kind, kind);
    const auto reply = back<raft::RequestVoteReply>(raft::RequestVoteReply{
        .term = Term(7), .candidacy = Term(8), .kind = kind, .granted = true});
    EXPECT_EQ(reply.candidacy, Term(8));
    EXPECT_EQ(reply.kind, kind);
    EXPECT_TRUE(reply.granted);
  }
}

TEST(RaftCodecTest, RepliesComeBack) {
  auto reply = back<raft::AppendReply>(raft::AppendReply{
      .term = Term(1), .session = 2, .previous = Index(3), .match = Index(4), .conflict = {}});
  EXPECT_EQ(reply.match, Index(4));
  EXPECT_FALSE(reply.conflict);
  // At the beginning of the log: all zeros is not the same as none.
  reply = back<raft::AppendReply>(raft::AppendReply{
      .term = Term(1), .session = 2, .previous = Index(3), .match = {}, .conflict = LogId{}});
  EXPECT_EQ(reply.conflict, LogId{});
  const auto beat = back<raft::Heartbeat>(
      raft::Heartbeat{.term = Term(1), .session = 2, .commit = Index(3), .read_sequence = 4});
  EXPECT_EQ(beat.read_sequence, 4U);
  EXPECT_EQ(beat.commit, Index(3));
  EXPECT_EQ(back<raft::HeartbeatReply>(
                raft::HeartbeatReply{.term = Term(1), .session = 2, .read_sequence = 4})
                .session,
            2U);
  EXPECT_EQ(back<raft::TimeoutNow>(raft::TimeoutNow{.term = Term(3)}).term, Term(3));
  EXPECT_EQ(back<raft::ReadRequest>(raft::ReadRequest{.term = Term(3), .id = 1}).id, 1U);
  EXPECT_EQ(
      back<raft::ReadReply>(raft::ReadReply{.term = Term(3), .id = 1, .index = Index(2)}).index,
      Index(2));
}

TEST(RaftCodecTest, SnapshotsComeBack) {
  const raft::Snapshot snapshot{.id = {.term = Term(2), .index = Index(9)},
                                .membership = {.voters = {kOne}, .learners = {kTwo}}};
  EXPECT_EQ(back<raft::InstallSnapshot>(
                raft::InstallSnapshot{.term = Term(3), .session = 1, .snapshot = snapshot})
                .snapshot,
            snapshot);
}

peer::PeerHeader append_header() {
  const Cut sent = cut(encode_peer_message(message(
      raft::AppendEntries{.term = Term(4), .entries = {entry(1, 2, "one"), entry(2, 3, "two")}})));
  peer::PeerHeader header;
  EXPECT_TRUE(header.ParseFromArray(sent.header.data(), static_cast<int>(sent.header.size())));
  return header;
}

Errc refusal(const peer::PeerHeader& header, std::string_view payload) {
  const std::string bytes = header.SerializeAsString();
  const auto decoded = decode_peer_message(std::as_bytes(std::span(bytes)),
                                           Payload::copy_of(std::as_bytes(std::span(payload))));
  return decoded ? Errc{} : decoded.error().code();
}

TEST(RaftCodecTest, WhatNobodyEncodesIsRefused) {
  EXPECT_EQ(refusal(append_header(), "onetwo"), Errc{});
  EXPECT_EQ(refusal(append_header(), "onetw"), Errc::kProtocol);
  EXPECT_EQ(refusal(append_header(), "onetwo!"), Errc::kProtocol);
  EXPECT_EQ(refusal(append_header(), "oneTwo"), Errc::kCorrupt);
  auto header = append_header();
  header.mutable_append_entries()->mutable_entries(1)->set_term(1);
  EXPECT_EQ(refusal(header, "onetwo"), Errc::kProtocol);
  header = append_header();
  header.mutable_append_entries()->set_term(2);
  EXPECT_EQ(refusal(header, "onetwo"), Errc::kProtocol);
  header = append_header();
  header.mutable_append_entries()->mutable_entries(0)->set_kind(9);
  EXPECT_EQ(refusal(header, "onetwo"), Errc::kProtocol);
  header = append_header();
  header.mutable_append_entries()->set_commit(3);
  EXPECT_EQ(refusal(header, "onetwo"), Errc::kProtocol);
  header = append_header();
  header.clear_append_entries();
  EXPECT_EQ(refusal(header, ""), Errc::kProtocol);
  header.mutable_request_vote()->set_kind(3);
  EXPECT_EQ(refusal(header, ""), Errc::kProtocol);
  header.mutable_install_snapshot();
  EXPECT_EQ(refusal(header, ""), Errc::kProtocol);
  header.mutable_heartbeat();
  EXPECT_EQ(refusal(header, "payload"), Errc::kProtocol);
}

storage::LogMark mark(std::uint64_t index) {
  return {.id = {.term = Term(3), .index = Index(index)},
          .chain = {.low = index * 7, .high = index * 11},
          .append_time = static_cast<TimeUs>(index * 13)};
}

template <class T>
Result<T> snapshot_back(T body) {
  body.from = kOne;
  body.to = kTwo;
  TRY_ASSIGN(received,
             through({.group = GroupId(3), .incarnation = kGroup, .body = std::move(body)}));
  EXPECT_EQ(received.from(), kOne);
  EXPECT_EQ(received.to(), kTwo);
  return std::get<T>(received.body);
}

TEST(RaftCodecTest, WhatMovesASnapshotComesBack) {
  const LogId last = mark(90).id;
  const raft::Snapshot snapshot{.id = last, .membership = {.voters = {kOne, kTwo}}};
  const auto offer = snapshot_back(SnapshotOffer{.term = Term(4),
                                                 .session = 5,
                                                 .recovery = 7,
                                                 .snapshot = snapshot,
                                                 .last = mark(90),
                                                 .image_bytes = 6});
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->recovery, 7U);
  EXPECT_EQ(offer->term, Term(4));
  EXPECT_EQ(offer->session, 5U);
  EXPECT_EQ(offer->snapshot, snapshot);
  EXPECT_EQ(offer->last, mark(90));
  EXPECT_EQ(offer->image_bytes, 6U);
  const auto pull = snapshot_back(SnapshotPull{.session = 5,
                                               .snapshot = last,
                                               .want = SnapshotPull::Want::kPlace,
                                               .known = {mark(7), mark(3)},
                                               .image_from = 8});
  ASSERT_TRUE(pull);
  EXPECT_EQ(pull->snapshot, last);
  EXPECT_EQ(pull->want, SnapshotPull::Want::kPlace);
  EXPECT_EQ(pull->known, (std::vector{mark(7), mark(3)}));
  EXPECT_EQ(pull->image_from, 8U);
  const auto image = snapshot_back(SnapshotImage{
      .session = 5, .snapshot = last, .from_byte = 9, .bytes = entry(1, 1, "abc").payload});
  ASSERT_TRUE(image);
  EXPECT_EQ(image->from_byte, 9U);
  EXPECT_TRUE(std::ranges::equal(image->bytes.bytes(), std::as_bytes(std::span("abc", 3))));
}

TEST(RaftCodecTest, ItemsOfASnapshotComeBackAndAreJudged) {
  SnapshotLog sent{.session = 5, .snapshot = mark(90).id, .after = mark(10), .items = {}};
  sent.items.push_back({.skip_to = std::nullopt, .entry = entry(11, 3, "one")});
  sent.items.push_back({.skip_to = mark(40), .entry = {}});
  sent.items.push_back({.skip_to = std::nullopt, .entry = entry(41, 4, "two")});
  const auto received = snapshot_back(sent);
  ASSERT_TRUE(received) << received.error().message();
  EXPECT_EQ(received->after, sent.after);
  ASSERT_EQ(received->items.size(), 3U);
  EXPECT_EQ(received->items[0].entry.header, sent.items[0].entry.header);
  EXPECT_EQ(received->items[1].skip_to, mark(40));
  EXPECT_EQ(received->items[2].entry.header, sent.items[2].entry.header);

  SnapshotLog backwards = sent;
  backwards.items[1].skip_to = mark(11);
  EXPECT_EQ(snapshot_back(backwards).error().code(), Errc::kProtocol);
  SnapshotLog bad = sent;
  ++bad.items[0].entry.header.payload_crc;
  EXPECT_EQ(snapshot_back(bad).error().code(), Errc::kCorrupt);
  EXPECT_EQ(snapshot_back(SnapshotPull{.want = SnapshotPull::Want::kLog}).error().code(),
            Errc::kProtocol);
}

TEST(RaftCodecTest, WhatRepairsALogComesBackAndIsJudged) {
  const RepairRequest asked{.number = 7, .after = mark(10), .last = Index(40)};
  const auto request = snapshot_back(asked);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->number, 7U);
  EXPECT_EQ(request->after, mark(10));
  EXPECT_EQ(request->last, Index(40));
  RepairRequest open = asked;
  open.last.reset();
  EXPECT_EQ(snapshot_back(open)->last, std::nullopt);
  RepairRequest backwards = asked;
  backwards.last = Index(10);
  EXPECT_EQ(snapshot_back(backwards).error().code(), Errc::kProtocol);

  RepairReply answer{.number = 7,
                     .answer = RepairReply::Answer::kItems,
                     .after = mark(10),
                     .end = Index(90),
                     .items = {}};
  answer.items.push_back({.skip_to = std::nullopt, .entry = entry(11, 3, "one")});
  answer.items.push_back({.skip_to = mark(40), .entry = {}});
  const auto reply = snapshot_back(answer);
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(reply->number, 7U);
  EXPECT_EQ(reply->answer, RepairReply::Answer::kItems);
  EXPECT_EQ(reply->after, mark(10));
  EXPECT_EQ(reply->end, Index(90));
  ASSERT_EQ(reply->items.size(), 2U);
  EXPECT_EQ(reply->items[0].entry.header, answer.items[0].entry.header);
  EXPECT_EQ(reply->items[1].skip_to, mark(40));
  RepairReply bad = answer;
  ++bad.items[0].entry.header.payload_crc;
  EXPECT_EQ(snapshot_back(bad).error().code(), Errc::kCorrupt);
}

TEST(RaftCodecTest, AnImageForARepairComesBackAndIsJudged) {
  const LogId image{.term = Term(3), .index = Index(40)};
  const RepairImageRequest asked{
      .number = 7, .least = Index(30), .image = image, .from_byte = 5000};
  const auto request = snapshot_back(asked);
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->number, 7U);
  EXPECT_EQ(request->least, Index(30));
  EXPECT_EQ(request->image, image);
  EXPECT_EQ(request->from_byte, 5000U);
  EXPECT_EQ(snapshot_back(RepairImageRequest{})->image, std::nullopt);

  RepairImage piece{.number = 7,
                    .recovery = 9,
                    .image = image,
                    .image_bytes = 6000,
                    .from_byte = 5000,
                    .bytes = Payload(std::vector<std::byte>(1000))};
  const auto back = snapshot_back(piece);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->number, 7U);
  EXPECT_EQ(back->image, image);
  EXPECT_EQ(back->recovery, 9U);
  EXPECT_EQ(back->image_bytes, 6000U);
  EXPECT_EQ(back->from_byte, 5000U);
  EXPECT_EQ(back->bytes.size(), 1000U);
  // A piece that leads behind the end of its image.
  piece.image_bytes = 5999;
  EXPECT_EQ(snapshot_back(piece).error().code(), Errc::kProtocol);
  piece.image_bytes = 4000;
  EXPECT_EQ(snapshot_back(piece).error().code(), Errc::kProtocol);
}

}  // namespace
}  // namespace lignum::net
