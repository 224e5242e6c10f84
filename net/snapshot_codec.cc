#include "net/snapshot_codec.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "net/peer_fields.h"
#include "net/peer_message.h"
#include "net/proto/peer.pb.h"
#include "net/repair_messages.h"
#include "net/snapshot_messages.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/log_mark.h"

namespace lignum::net {

namespace {

class Encoder {
 public:
  Encoder(GroupIncarnation incarnation, peer::PeerHeader& out, std::vector<Payload>& payload)
      : incarnation_(incarnation), out_(out), payload_(payload) {}

  // The other codec's.
  void operator()(const raft::Message& /*message*/) { CHECK(false); }
  void operator()(const SnapshotOffer& body) {
    CHECK(body.snapshot.id == body.last.id);
    auto& out = *out_.mutable_snapshot_offer();
    out.set_term(body.term.value());
    out.set_session(body.session);
    out_.set_recovery(body.recovery);
    put(body.last, *out.mutable_last());
    put(body.snapshot.membership, *out.mutable_membership());
    out.set_image_bytes(body.image_bytes);
  }
  void operator()(const SnapshotPull& body) {
    CHECK(body.known.size() <= kSnapshotKnownMax);
    auto& out = *out_.mutable_snapshot_pull();
    out.set_session(body.session);
    put(body.snapshot, *out.mutable_snapshot());
    out.set_want(static_cast<std::uint32_t>(body.want));
    for (const storage::LogMark& each : body.known) put(each, *out.add_known());
    out.set_image_from(body.image_from);
  }
  void operator()(const SnapshotLog& body) {
    auto& out = *out_.mutable_snapshot_log();
    out.set_session(body.session);
    put(body.snapshot, *out.mutable_snapshot());
    put(body.after, *out.mutable_after());
    put_items(body.items, out);
  }
  void operator()(const SnapshotImage& body) {
    auto& out = *out_.mutable_snapshot_image();
    out.set_session(body.session);
    put(body.snapshot, *out.mutable_snapshot());
    out.set_from(body.from_byte);
    if (!body.bytes.empty()) payload_.push_back(body.bytes);
  }
  void operator()(const RepairRequest& body) {
    auto& out = *out_.mutable_repair_request();
    out.set_number(body.number);
    put(body.after, *out.mutable_after());
    if (body.last) out.set_last(body.last->value());
  }
  void operator()(const RepairReply& body) {
    auto& out = *out_.mutable_repair_reply();
    out.set_number(body.number);
    out.set_answer(static_cast<std::uint32_t>(body.answer));
    put(body.after, *out.mutable_after());
    out.set_end(body.end.value());
    put_items(body.items, out);
  }
  void operator()(const RepairImageRequest& body) {
    auto& out = *out_.mutable_repair_image_request();
    out.set_number(body.number);
    out.set_least(body.least.value());
    if (body.image) put(*body.image, *out.mutable_image());
    out.set_from(body.from_byte);
  }
  void operator()(const RepairImage& body) {
    auto& out = *out_.mutable_repair_image();
    out_.set_recovery(body.recovery);
    out.set_number(body.number);
    put(body.image, *out.mutable_image());
    out.set_image_bytes(body.image_bytes);
    out.set_from(body.from_byte);
    if (!body.bytes.empty()) payload_.push_back(body.bytes);
  }

 private:
  template <class Out>
  void put_items(const std::vector<storage::KeptItem>& items, Out& out) {
    CHECK(items.size() <= kSnapshotItemsMax);
    for (const storage::KeptItem& item : items) {
      if (item.skip_to) {
        put(*item.skip_to, *out.add_items()->mutable_skip_to());
        continue;
      }
      CHECK(item.entry.header.group == incarnation_);
      CHECK(item.entry.header.payload_bytes == item.entry.payload.size());
      put(item.entry.header, *out.add_items()->mutable_entry());
      if (!item.entry.payload.empty()) payload_.push_back(item.entry.payload);
    }
  }

  GroupIncarnation incarnation_;
  peer::PeerHeader& out_;
  std::vector<Payload>& payload_;
};

// No index wraps around.
bool bounded(const storage::LogMark& mark) { return mark.id.index.value() <= UINT64_MAX / 2; }

Result<void> decode(const peer::SnapshotOffer& in, SnapshotOffer& out) {
  out.term = Term(in.term());
  out.session = in.session();
  out.last = log_mark_of(in.last());
  out.image_bytes = in.image_bytes();
  if (!bounded(out.last)) return broken("an index out of bounds");
  TRY_ASSIGN(membership, membership_of(in.membership()));
  out.snapshot = {.id = out.last.id, .membership = std::move(membership)};
  return {};
}

Result<void> decode(const peer::SnapshotPull& in, SnapshotPull& out) {
  if (static_cast<std::size_t>(in.known_size()) > kSnapshotKnownMax) {
    return broken("too many places of a log");
  }
  if (in.want() > static_cast<std::uint32_t>(SnapshotPull::Want::kImage)) {
    return broken("an unknown want");
  }
  out.session = in.session();
  out.snapshot = log_id_of(in.snapshot());
  out.want = static_cast<SnapshotPull::Want>(in.want());
  for (const peer::LogMark& each : in.known()) {
    out.known.push_back(log_mark_of(each));
    if (!bounded(out.known.back())) return broken("an index out of bounds");
  }
  if (out.want == SnapshotPull::Want::kLog && out.known.size() != 1) {
    return broken("a pull of entries after more or less than one place");
  }
  out.image_from = in.image_from();
  return {};
}

// The items behind `after`, of a SnapshotLog or a RepairReply.
template <class In>
Result<std::vector<storage::KeptItem>> items_of(const In& in, const EntryPlace& after,
                                                const Payload& payload) {
  if (static_cast<std::size_t>(in.items_size()) > kSnapshotItemsMax) {
    return broken("too many items");
  }
  std::vector<storage::KeptItem> items;
  PayloadCutter cutter(payload);
  LogId before = after.before;
  items.reserve(static_cast<std::size_t>(in.items_size()));
  for (const peer::SnapshotItem& each : in.items()) {
    storage::KeptItem item;
    if (each.has_skip_to()) {
      item.skip_to = log_mark_of(each.skip_to());
      if (!bounded(*item.skip_to) || item.skip_to->id.index <= before.index ||
          item.skip_to->id.term < before.term) {
        return broken("a hole that leads backwards");
      }
      before = item.skip_to->id;
    } else {
      if (!each.has_entry()) return broken("an item that this build does not know");
      TRY_ASSIGN(entry, entry_of(each.entry(), {.group = after.group, .before = before}, cutter));
      item.entry = std::move(entry);
      before = item.entry.header.id();
    }
    items.push_back(std::move(item));
  }
  if (!cutter.used_up()) return broken("payload that belongs to no entry");
  return items;
}

Result<void> decode(const peer::SnapshotLog& in, GroupIncarnation group, const Payload& payload,
                    SnapshotLog& out) {
  out.session = in.session();
  out.snapshot = log_id_of(in.snapshot());
  out.after = log_mark_of(in.after());
  if (!bounded(out.after)) return broken("an index out of bounds");
  TRY_ASSIGN(items, items_of(in, {.group = group, .before = out.after.id}, payload));
  out.items = std::move(items);
  return {};
}

Result<void> decode(const peer::RepairRequest& in, RepairRequest& out) {
  out.number = in.number();
  out.after = log_mark_of(in.after());
  if (!bounded(out.after)) return broken("an index out of bounds");
  if (!in.has_last()) return {};
  if (in.last() <= out.after.id.index.value() || in.last() > UINT64_MAX / 2) {
    return broken("a range that leads backwards");
  }
  out.last = Index(in.last());
  return {};
}

Result<void> decode(const peer::RepairReply& in, GroupIncarnation group, const Payload& payload,
                    RepairReply& out) {
  if (in.answer() > static_cast<std::uint32_t>(RepairReply::Answer::kCleaned)) {
    return broken("an unknown answer");
  }
  out.number = in.number();
  out.answer = static_cast<RepairReply::Answer>(in.answer());
  out.after = log_mark_of(in.after());
  out.end = Index(in.end());
  if (!bounded(out.after)) return broken("an index out of bounds");
  TRY_ASSIGN(items, items_of(in, {.group = group, .before = out.after.id}, payload));
  out.items = std::move(items);
  return {};
}

Result<void> decode(const peer::RepairImage& in, const Payload& payload, RepairImage& out) {
  if (payload.size() > kSnapshotPieceBytes) return broken("a piece that is too large");
  out.number = in.number();
  out.image = log_id_of(in.image());
  out.image_bytes = in.image_bytes();
  out.from_byte = in.from();
  if (out.from_byte > out.image_bytes || payload.size() > out.image_bytes - out.from_byte) {
    return broken("a piece that leads behind the end");
  }
  out.bytes = payload;
  return {};
}

RepairImageRequest image_request_of(const peer::RepairImageRequest& in, const ReplicaId& from,
                                    const ReplicaId& to) {
  RepairImageRequest out{.from = from, .to = to, .number = in.number(), .least = Index(in.least())};
  if (in.has_image()) out.image = log_id_of(in.image());
  out.from_byte = in.from();
  return out;
}

}  // namespace

bool holds_snapshot(const peer::PeerHeader& header) {
  return header.has_snapshot_offer() || header.has_snapshot_pull() || header.has_snapshot_log() ||
         header.has_snapshot_image() || header.has_repair_request() || header.has_repair_reply() ||
         header.has_repair_image_request() || header.has_repair_image();
}

void encode_snapshot(const PeerMessage& message, peer::PeerHeader& header,
                     std::vector<Payload>& payload) {
  std::visit(Encoder(message.incarnation, header, payload), message.body);
}

Result<void> decode_snapshot(const peer::PeerHeader& header, const Payload& payload,
                             PeerMessage& message) {
  const ReplicaId from = replica_of(header.from());
  const ReplicaId to = replica_of(header.to());
  if (header.has_snapshot_log()) {
    SnapshotLog out{.from = from, .to = to};
    TRY(decode(header.snapshot_log(), message.incarnation, payload, out));
    message.body = std::move(out);
    return {};
  }
  if (header.has_repair_reply()) {
    RepairReply out{.from = from, .to = to};
    TRY(decode(header.repair_reply(), message.incarnation, payload, out));
    message.body = std::move(out);
    return {};
  }
  if (header.has_snapshot_image()) {
    if (payload.size() > kSnapshotPieceBytes) return broken("a piece that is too large");
    message.body = SnapshotImage{.from = from,
                                 .to = to,
                                 .session = header.snapshot_image().session(),
                                 .snapshot = log_id_of(header.snapshot_image().snapshot()),
                                 .from_byte = header.snapshot_image().from(),
                                 .bytes = payload};
    return {};
  }
  if (header.has_repair_image()) {
    RepairImage out{.from = from, .to = to, .recovery = header.recovery()};
    TRY(decode(header.repair_image(), payload, out));
    message.body = std::move(out);
    return {};
  }
  if (!payload.empty()) return broken("payload that belongs to no entry");
  if (header.has_repair_image_request()) {
    message.body = image_request_of(header.repair_image_request(), from, to);
    return {};
  }
  if (header.has_snapshot_offer()) {
    SnapshotOffer out{.from = from, .to = to, .recovery = header.recovery()};
    TRY(decode(header.snapshot_offer(), out));
    message.body = std::move(out);
    return {};
  }
  if (header.has_repair_request()) {
    RepairRequest out{.from = from, .to = to};
    TRY(decode(header.repair_request(), out));
    message.body = out;
    return {};
  }
  SnapshotPull out{.from = from, .to = to};
  TRY(decode(header.snapshot_pull(), out));
  message.body = std::move(out);
  return {};
}

}  // namespace lignum::net
