#pragma once

// What nodes say to one another about a group, as plain values. The codec is net/raft_codec.h.

#include <variant>

#include "net/repair_messages.h"
#include "net/snapshot_messages.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace lignum::net {

struct PeerMessage {
  GroupId group;
  // Of the sender's group: what belongs to another cluster is told apart by it.
  GroupIncarnation incarnation;
  std::variant<raft::Message, SnapshotOffer, SnapshotPull, SnapshotLog, SnapshotImage,
               RepairRequest, RepairReply, RepairImageRequest, RepairImage>
      body;

  [[nodiscard]] ReplicaId from() const {
    return std::visit([](const auto& message) { return message.from; }, body);
  }
  [[nodiscard]] ReplicaId to() const {
    return std::visit([](const auto& message) { return message.to; }, body);
  }
};

}  // namespace lignum::net
