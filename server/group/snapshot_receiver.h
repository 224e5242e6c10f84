#pragma once

// The snapshot that a follower is being sent: pulled piece by piece, staged, verified (rule D3).
//
//     offer ── place ── log, piece by piece ── image, piece by piece ── verify ── ready
//                │            (storage/log_stage.h)  (storage/image_transfer.h)
//                └─ the log here is kept up to the last segment whose end the leader's log passes
//
// What is lost is asked for again, what comes twice or late is ignored. Staged entries outlive
// their sender: they carry the group chain, so another leader's snapshot goes on where they end.
// What is staged is debris until the replica switches to it, by Log::take_restore; the replica
// hears of it when it is whole (Parts::ready) and hands InstallSnapshot to its core, which decides.
// Owned by a replica; its lane only. A failed write of what is staged ends the transfer.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "net/peer_message.h"
#include "net/snapshot_messages.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "storage/image_transfer.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"

namespace lignum::server {

class SnapshotReceiver {
 public:
  // A piece that has not come by then is asked for again.
  static constexpr std::uint32_t kRetryTicks = 10;
  // Nothing came for so long: the sender is given up. What is staged of the log stays.
  static constexpr std::uint32_t kGiveUpTicks = 200;

  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    Ports& ports;
    storage::Log& log;
    const Checkpoints& checkpoints;
    // All of the snapshot has come and was verified. Called on the lane; inside it the replica
    // either takes the stage or leaves it.
    std::function<void(const net::SnapshotOffer&)> ready;
  };
  explicit SnapshotReceiver(Parts parts);
  ~SnapshotReceiver();
  SnapshotReceiver(const SnapshotReceiver&) = delete;
  SnapshotReceiver& operator=(const SnapshotReceiver&) = delete;

  // `commit` is this replica's: a snapshot that is not above it is ready without any piece.
  void on_offer(const net::SnapshotOffer& offer, Index commit);
  void on_log(net::SnapshotLog piece);
  void on_image(const net::SnapshotImage& piece);
  void tick(Index commit);

  // Inside ready(): the staged log; the staged image goes with it.
  [[nodiscard]] std::unique_ptr<storage::LogStage> take_stage();
  // Drops what is staged, and listens to nobody any more.
  void stop();

 private:
  // The bytes on the pool: shared with the work that is out.
  struct Staged {
    std::unique_ptr<storage::LogStage> log;
    std::unique_ptr<storage::StagedImage> image;
    std::uint64_t image_bytes = 0;
  };

  [[nodiscard]] bool answers(const ReplicaId& from, std::uint64_t session, LogId snapshot) const;
  void pull();
  void pull_nothing();
  void send(net::SnapshotPull pull);
  void begin_at(const storage::LogMark& after);
  // Runs `work` on what is staged; then pulls on, or gives up.
  void run(Work work, std::function<void()> then);
  void verify();
  [[nodiscard]] static Result<void> check(Staged& staged, const Parts& parts,
                                          const net::SnapshotOffer& offer);
  void give_up(const Error& why);
  void drop_image();
  void drop_log();
  void drop_all();
  void verified();

  const Parts parts_;
  std::shared_ptr<Staged> staged_ = std::make_shared<Staged>();
  std::optional<net::SnapshotOffer> offer_;
  // Came while work was out.
  std::optional<net::SnapshotOffer> next_offer_;
  // The leader has said where the stage begins, or goes on.
  bool placed_ = false;
  bool busy_ = false;
  bool stopped_ = false;
  std::uint32_t idle_ticks_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
