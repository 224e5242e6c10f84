#pragma once

// How a snapshot gets from a leader to a follower, as plain values: the follower pulls.
//
//     leader                                   follower
//       offer (image of I, log up to I) ---->
//                                        <---- pull kPlace (places that it knows)
//       log, without items: begin there ---->
//                                        <---- pull kLog (after that) ... until I
//       log (items) ------------------------>
//                                        <---- pull kImage (from byte) ... until its end
//       image (bytes) ---------------------->
//
// The follower then hands raft::InstallSnapshot to its own core, whose answer the leader gets. One
// piece is on its way at a time: each pull acknowledges the piece before it, and what is lost is
// asked for again. Everything names the session (raft::Session) and the snapshot's last entry, so
// that what comes late or twice is known for it. The codec lives in net/raft_codec.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "raft/messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/log_mark.h"

namespace lignum::net {

// Bytes of entries, or of an image, in one piece; a single larger entry goes alone.
inline constexpr std::size_t kSnapshotPieceBytes = std::size_t{1} << 20;
// Places that one pull names.
inline constexpr std::size_t kSnapshotKnownMax = 64;
// Items of one piece: an entry of the least size takes 160 bytes, and a hole may lie before each.
inline constexpr std::size_t kSnapshotItemsMax = 2 * (kSnapshotPieceBytes / 160 + 2);

struct SnapshotOffer {
  ReplicaId from;
  ReplicaId to;
  Term term;
  raft::Session session = 0;
  // Of the sender, as raft::Message::recovery: not that of the snapshot, which may be older.
  std::uint64_t recovery = 0;
  // snapshot.id is last.id.
  raft::Snapshot snapshot;
  storage::LogMark last;
  std::uint64_t image_bytes = 0;
};

struct SnapshotPull {
  enum class Want : std::uint8_t {
    kNothing,  // still busy with what came: do not give up
    kPlace,    // which of `known` (newest first) the leader's log stands after, too
    kLog,      // items after `known`, which is one
    kImage,    // bytes from `image_from` on
  };
  ReplicaId from;
  ReplicaId to;
  raft::Session session = 0;
  LogId snapshot;
  Want want = Want::kNothing;
  std::vector<storage::LogMark> known;
  std::uint64_t image_from = 0;
};

struct SnapshotLog {
  ReplicaId from;
  ReplicaId to;
  raft::Session session = 0;
  LogId snapshot;
  // Answers kPlace (then there are no items; index 0: none of them) or kLog.
  storage::LogMark after;
  std::vector<storage::KeptItem> items;
};

struct SnapshotImage {
  ReplicaId from;
  ReplicaId to;
  raft::Session session = 0;
  LogId snapshot;
  std::uint64_t from_byte = 0;
  Payload bytes;
};

}  // namespace lignum::net
