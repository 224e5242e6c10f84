#pragma once

// How a damaged replica gets back what it cannot read any more, as plain values: it asks one member
// of its group after the other (rules I). Needs no leader, except where nothing says how far the
// damaged log reached.
//
//     damaged                                     any other member
//       request (after, up to an entry) ----------->
//                    <---------------------- reply (items), or nothing that helps
//       request (after the last item) ... until the range is whole
//
// A member that is damaged itself answers with what is sound of its log. The one who asks believes
// only what continues its group chain and ends in the chain that it knows (storage/log_repair.h).
// One request is out at a time; what is lost is asked for again. The codec lives in net/raft_codec.
//
// What was cleaned everywhere is in somebody's image of the state. A sound member gives that, piece
// by piece, and what is kept of the log up to it is asked for as above:
//
//     damaged                                     a sound member
//       image request (of an entry at least) ------>
//                    <------------- image (which one, its size, bytes), or none
//       image request (that one, from byte) ... until its end

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "net/snapshot_messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/log_mark.h"

namespace lignum::net {

// Bytes of entries in one reply, as in a piece of a snapshot.
inline constexpr std::size_t kRepairPieceBytes = kSnapshotPieceBytes;

struct RepairRequest {
  ReplicaId from;
  ReplicaId to;
  // Told apart by it.
  std::uint64_t number = 0;
  storage::LogMark after;
  // Nothing: up to the end of a leader's log.
  std::optional<Index> last;
};

struct RepairReply {
  enum class Answer : std::uint8_t {
    kNothing,  // not here, not now, or not for this one to say
    kItems,    // what follows `after`
    kEnd,      // only of a leader: its log ends there, or went another way before
    kCleaned,  // only of a leader: its log begins behind that
  };
  ReplicaId from;
  ReplicaId to;
  std::uint64_t number = 0;
  Answer answer = Answer::kNothing;
  storage::LogMark after;
  // Of a leader: the last entry of its log; where that is cleaned, the one before its first.
  Index end;
  std::vector<storage::KeptItem> items;
};

struct RepairImageRequest {
  ReplicaId from;
  ReplicaId to;
  std::uint64_t number = 0;
  // An image of an earlier entry is of no use.
  Index least;
  // The one that was begun; none: the newest.
  std::optional<LogId> image;
  std::uint64_t from_byte = 0;
};

struct RepairImage {
  ReplicaId from;
  ReplicaId to;
  std::uint64_t number = 0;
  // As raft::Message::recovery: whoever has heard of a newer one does not believe this member.
  std::uint64_t recovery = 0;
  // Another one than was asked for: that one is gone, and this is its beginning.
  LogId image;
  // 0: there is none of use, or none now.
  std::uint64_t image_bytes = 0;
  std::uint64_t from_byte = 0;
  Payload bytes;
};

}  // namespace lignum::net
