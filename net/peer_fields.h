#pragma once

// The parts that peer messages are made of, to protobuf and back. Part of the codec (raft_codec.h);
// pure.

#include <cstddef>
#include <expected>
#include <optional>

#include "net/proto/peer.pb.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/log_mark.h"

namespace lignum::net {

void put(const ReplicaId& replica, peer::Replica& out);
void put(const LogId& id, peer::LogId& out);
void put(const storage::LogMark& mark, peer::LogMark& out);
void put(const EntryHeader& header, peer::EntryHeader& out);
void put(const raft::Membership& membership, peer::Membership& out);

// kProtocol.
[[nodiscard]] std::unexpected<Error> broken(const char* what);

// Cuts the payloads of a message off one after the other.
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

[[nodiscard]] ReplicaId replica_of(const peer::Replica& in);
[[nodiscard]] LogId log_id_of(const peer::LogId& in);
[[nodiscard]] storage::LogMark log_mark_of(const peer::LogMark& in);
// kProtocol unless it is valid.
[[nodiscard]] Result<raft::Membership> membership_of(const peer::Membership& in);

// What an entry's header leaves to its place.
struct EntryPlace {
  GroupIncarnation group;
  LogId before;
};
// Kind, term, length and checksum are judged. kProtocol or kCorrupt.
[[nodiscard]] Result<Entry> entry_of(const peer::EntryHeader& in, const EntryPlace& place,
                                     PayloadCutter& payload);

}  // namespace lignum::net
