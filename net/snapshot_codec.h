#pragma once

// The messages that move pieces of logs (snapshot_messages.h, repair_messages.h), to protobuf and
// back. Part of the codec (raft_codec.h); pure.

#include <vector>

#include "net/peer_message.h"
#include "net/proto/peer.pb.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

[[nodiscard]] bool holds_snapshot(const peer::PeerHeader& header);
// Fills the body of `header`, whose other fields are set, and gathers the payloads. The body is one
// of those above within its bounds (CHECKed).
void encode_snapshot(const PeerMessage& message, peer::PeerHeader& header,
                     std::vector<Payload>& payload);
// Fills message.body; its group and incarnation are set. As decode_peer_message().
[[nodiscard]] Result<void> decode_snapshot(const peer::PeerHeader& header, const Payload& payload,
                                           PeerMessage& message);

}  // namespace lignum::net
