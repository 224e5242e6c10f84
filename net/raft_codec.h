#pragma once

// Peer messages to bytes and back (net/proto/peer.proto, docs/wire_protocol.md). Pure; any thread.
//
// Payloads of entries are never copied on the way out, and on the way in only where an entry is a
// small part of a large buffer (MessageReader decides that for the message as a whole). Whatever
// arrives is judged before it is believed: bounds, kinds, order of terms, lengths, the checksum of
// every payload, the shape of a configuration.

#include <cstddef>
#include <vector>

#include "net/message.h"
#include "net/peer_message.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

// Entries of one message. A leader stops at raft::Options::append_bytes_max, in which every entry
// counts kEntryOverheadBytes: fewer than this fit (limits.cc compares).
inline constexpr std::size_t kPeerEntriesMax = 16384;

// The header of a message full of the smallest entries is larger than any that a client may send.
inline constexpr MessageLimits kPeerLimits{.header_bytes_max = std::size_t{2} << 20,
                                           .message_bytes_max = std::size_t{18} << 20};

struct EncodedPeerMessage {
  // Prefix and protobuf header.
  std::vector<std::byte> head;
  // To be sent after it, in order.
  std::vector<Payload> payload;
};

// The message holds at most kPeerEntriesMax entries with consecutive indexes behind `previous`
// (CHECKed).
[[nodiscard]] EncodedPeerMessage encode_peer_message(const PeerMessage& message);

// `header` and `payload` as MessageReader cut them. kProtocol for what encode_peer_message() does
// not make, kCorrupt for a payload that fails its checksum. Payloads of entries share `payload`.
[[nodiscard]] Result<PeerMessage> decode_peer_message(Bytes header, const Payload& payload);

}  // namespace lignum::net
