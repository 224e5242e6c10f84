#pragma once

// The snapshots that a leader sends: its newest image, and what is kept of the log up to it
// (rule D3). Followers pull (net/snapshot_messages.h); one piece for each is read at a time, so
// what is in memory is bounded by the members of the group.
//
//     want ── open the image ── offer ◄─┐ repeated until the first pull
//                                  │    │
//             pull ── read ── piece     │     no faster than all of the node's (transfer_pace.h)
//                                  ▼
//             the core has left kSnapshot: sent. No pull for kIdleTicks: failed, asked for again.
//
// While an image is being sent the log behind it is not cleaned (pinned()): what the follower needs
// next must still be there when it has been installed. Owned by a replica; its lane only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "net/peer_message.h"
#include "net/snapshot_messages.h"
#include "raft/core.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "server/group/transfer_pace.h"
#include "storage/image_transfer.h"
#include "storage/log.h"

namespace lignum::server {

class SnapshotSender {
 public:
  // Without a word from the follower for so long a transfer has failed.
  static constexpr std::uint32_t kIdleTicks = 60;
  // The offer is made again as often until something is pulled.
  static constexpr std::uint32_t kOfferTicks = 5;

  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    Ports& ports;
    storage::Log& log;
    const Checkpoints& checkpoints;
    std::size_t piece_bytes = net::kSnapshotPieceBytes;
    TransferPace& pace;
    // There is no image to send, or none that the log reaches: one is needed.
    std::function<void()> need_image;
    // The transfer failed; the core asks again (Core::on_snapshot_sent).
    std::function<void(const raft::SendSnapshot&)> failed;
  };
  explicit SnapshotSender(Parts parts);
  ~SnapshotSender();
  SnapshotSender(const SnapshotSender&) = delete;
  SnapshotSender& operator=(const SnapshotSender&) = delete;

  void want(const raft::SendSnapshot& request);
  void on_pull(net::SnapshotPull pull);
  // `core` leads, and wanted what is under way.
  void tick(const raft::Core& core);
  // Leads no more.
  void clear() { transfers_.clear(); }

  // Nothing above this entry may be cleaned.
  [[nodiscard]] std::optional<Index> pinned() const;
  // Snapshots that a follower has installed, or found needless.
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  struct Transfer {
    raft::SendSnapshot request;
    // Tells this transfer from a later one to the same follower.
    std::uint64_t number = 0;
    std::uint32_t idle_ticks = 0;
    bool pulled = false;
    // A piece is being read, or the image is being opened.
    bool busy = false;
    std::shared_ptr<const storage::ImageSource> image;
    raft::Snapshot snapshot;
    // The pace does not allow it yet: answered with a later tick.
    std::optional<net::SnapshotPull> held;
  };

  void open(Transfer& transfer);
  void opened(Transfer& transfer, std::shared_ptr<const storage::ImageSource> image,
              const raft::Membership& membership);
  // With every tick; false: nothing is heard of the follower.
  [[nodiscard]] bool go_on(Transfer& transfer, const raft::Core& core);
  void offer(const Transfer& transfer, const raft::Core& core);
  void answer(Transfer& transfer, net::SnapshotPull pull);
  void send_place(Transfer& transfer, net::SnapshotPull pull);
  void send_log(Transfer& transfer, const net::SnapshotPull& pull);
  void send_image(Transfer& transfer, const net::SnapshotPull& pull);
  // Reads on the pool and sends what comes of it.
  template <class Body>
  void send_later(Transfer& transfer, const std::shared_ptr<Body>& body, Work read);
  Transfer* find(const ReplicaId& to, std::uint64_t number);
  template <class Body>
  void send(Body body);

  const GroupId group_;
  const GroupIncarnation incarnation_;
  Ports& ports_;
  storage::Log& log_;
  const Checkpoints& checkpoints_;
  const std::size_t piece_bytes_;
  TransferPace& pace_;
  std::function<void()> need_image_;
  std::function<void(const raft::SendSnapshot&)> failed_;
  ReplicaId self_;
  std::map<ReplicaId, Transfer> transfers_;
  std::uint64_t last_number_ = 0;
  std::uint64_t sent_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
