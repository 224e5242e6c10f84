#pragma once

// The persist operations of one replica on their way to the disk: the first half of the order of
// durability (raft/output.h).
//
//     stage ── log ── launch ── flush worker: hard state, then the log's job ── on_persisted
//        │                                                          │
//        └─ held: a truncation and what follows it, until ──────────┘
//           everything before it is flushed and no flush is out
//
// A snapshot that is installed (PersistOp.restore) has a flush of its own, with nothing before it
// or behind it; the log changes hands when that is done, and what the operation appends comes
// after.
//
// Flushes of a replica complete in order, kFlushesOutMax are out at most; what is staged meanwhile
// goes with the next one (group commit). Owned by a replica, called from its lane only. A write
// that failed stops the process.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/log.h"

namespace lignum::server {

class LogWriter {
 public:
  // How a snapshot is installed: run on a flush worker one after the other.
  struct Restore {
    Work before;
    // Of Log::take_restore.
    std::unique_ptr<storage::FlushJob> job;
    Work after;
  };
  // What becomes of the operations, told on the lane.
  class Events {
   public:
    virtual ~Events() = default;
    // The log took the entry; `chain` is the group chain after it.
    virtual void on_staged(const Entry& entry, const Hash128& chain) = 0;
    // The log ends after `last_kept` from now on.
    virtual void on_truncated(Index last_kept) = 0;
    // `operation` and everything before it is durable; its entries have gone to the log.
    virtual void on_persisted(raft::PersistOp operation) = 0;
    // True when nothing else works on the log; otherwise retry() is called later.
    [[nodiscard]] virtual bool may_restore() const = 0;
    [[nodiscard]] virtual Restore begin_restore() = 0;
    // The snapshot is durable and the log is that which came with it.
    virtual void on_restored() = 0;
    // A flush is done, and on_persisted was called for all it held.
    virtual void on_flushed() = 0;
    // The log and what is to be appended to it contradict each other: nothing more is staged.
    virtual void on_divergence(std::string what) = 0;
    // The log cannot be read where it is to be truncated: nothing more is staged.
    virtual void on_unreadable(const Error& error) = 0;
    // A write or sync of live data failed (after Ports::disk_failed).
    virtual void on_disk_failed() = 0;
    // on_timer() has something to do then.
    virtual void wake_by(std::int64_t monotonic_us) = 0;
  };

  struct Parts {
    GroupId group;
    storage::Log& log;
    Ports& ports;
    // Makes a hard state durable; called from a flush worker, one call at a time.
    std::function<Result<void>(const raft::HardState&)> save_hard_state;
  };

  // References outlive the object.
  LogWriter(Parts parts, Events& events);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Takes the next operation. Entries of term `own` are this leader's: their previous chain is
  // filled in; all others must continue the log's chain and its stamps.
  void stage(raft::PersistOp operation, std::optional<Term> own);
  // Looks again at what waits for Events::may_restore.
  void retry();
  // Sends what is staged on its way, where the log thinks that best.
  void launch();

  // A flush is out.
  [[nodiscard]] bool flushing() const { return !flights_.empty(); }
  // Stages the marker of an idle log and sends it. False when there is none to send.
  bool write_marker();

  // Work that is due; returns when there will be more, if any (monotonic us).
  std::optional<std::int64_t> on_timer(const Now& now);

 private:
  struct Held {
    raft::PersistOp operation;
    std::optional<Term> own;
  };
  // A flush that is out, with its operations; without a job where only a hard state is written.
  struct Flight {
    std::unique_ptr<storage::FlushJob> job;
    std::vector<raft::PersistOp> operations;
    // What is left of the operation whose snapshot this installs.
    std::optional<Held> restored = std::nullopt;
  };

  // False: it has to wait for what is before it.
  void cannot_truncate(const Error& error);
  [[nodiscard]] bool may_put(const raft::PersistOp& operation) const;
  void put(Held held);
  void put_restore(Held held);
  bool put_entry(Entry& entry, std::optional<Term> own);
  void put_held();
  // Sends the last flight on its way.
  void flush(const std::optional<raft::HardState>& hard_state, storage::FlushJob* job);
  void flushed(const Result<void>& outcome);
  // A snapshot is being installed.
  [[nodiscard]] bool restoring() const {
    return !flights_.empty() && flights_.front().restored.has_value();
  }

  const GroupId group_;
  storage::Log& log_;
  Ports& ports_;
  std::function<Result<void>(const raft::HardState&)> save_hard_state_;
  Events& events_;
  // Wait for the disk to be quiet. Bounded by what the core lets wait for a flush.
  std::deque<Held> held_;
  // For the next flush.
  std::vector<raft::PersistOp> staged_;
  // In order; Log::kFlushesOutMax at most.
  std::deque<Flight> flights_;
  std::optional<std::int64_t> marker_at_;
  std::optional<std::int64_t> idle_at_;
  // After a divergence or a failed write.
  bool broken_ = false;
  // Callbacks from the pool find out with it whether the writer still exists.
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
