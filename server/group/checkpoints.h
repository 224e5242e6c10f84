#pragma once

// The durable copies of a group's state: its part of the state store, and two image files.
//
// A checkpoint is one atomic batch of the pairs that changed since the last one, together with the
// applied mark. An image holds all pairs as of one index in a file of the group's directory, so
// that a damaged state store is rebuilt from image + log. Two verified images are kept, and the
// log from the older one (rules D1 - D3). Neither is ever the only copy of a record.
//
// Owned by a replica, called from its lane; writing happens on the background pool, one piece of
// work at a time. A failed write is reported and tried again with everything at the next
// opportunity: until then the log is simply kept longer.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/state_machine.h"
#include "storage/file.h"
#include "storage/segmented_log.h"
#include "storage/snapshot_image.h"
#include "storage/state_store.h"

namespace lignum::server {

// How far a state reaches: its last applied entry, that entry's stamp, and the group chain after
// it.
struct AppliedMark {
  LogId id;
  TimeUs append_time = 0;
  Hash128 chain;
  friend bool operator==(const AppliedMark&, const AppliedMark&) = default;
};

class Checkpoints {
 public:
  // `images` is the group's own directory. References outlive the object.
  Checkpoints(GroupId group, GroupIncarnation incarnation, storage::StateStore& store,
              std::shared_ptr<storage::Directory> images, Ports& ports);
  ~Checkpoints();
  Checkpoints(const Checkpoints&) = delete;
  Checkpoints& operator=(const Checkpoints&) = delete;

  // The highest entry that a checkpoint or an image has applied: only what is durable is applied,
  // so a log that ends below it has lost entries. What is damaged proves nothing. kIo. Called
  // before the log is opened: recovery must not cut below it. Blocks; boot only.
  Result<storage::LogEvidence> evidence() const;

  struct Restored {
    AppliedMark mark;
    // What was found damaged and what was used instead, for the operator: empty when all was well.
    std::string remark;
    // The state store returned damage: whoever owns it drops it and calls store_was_replaced() on
    // every group that shares it.
    bool store_damaged = false;
  };
  // Called once, before anything else: brings `machine` to the newest state that is whole and
  // lies within (log_floor - 1 .. log_last): first the state store, then the images. (An image that
  // is newer than the store came with a snapshot, and so did the log: it need not hold what an
  // older state promises to readers.) An empty machine at index 0 is a state too where log_floor
  // is 1. kCorrupt when there is none, or when the checkpoint lies above log_last: records would be
  // missing. Blocks; boot only.
  Result<Restored> restore(StateMachine& machine, Index log_floor, Index log_last);
  // restore() failed, because the log begins behind everything that is stored here.
  [[nodiscard]] bool out_of_reach() const { return out_of_reach_; }

  // Boot, once the log is open and before restore(): finishes a snapshot whose switch a crash cut
  // short, or removes what had come of one. A sentence for the operator where there was something.
  Result<std::string> settle_snapshot(const std::function<std::optional<LogId>(Index)>& id_at);

  // A snapshot was installed whose image, the only one now, is that of `index`: the next checkpoint
  // writes every pair.
  void restored(Index index);
  // Where images lie. Written to on the background pool.
  [[nodiscard]] storage::Directory& images() const { return *images_; }

  // The store was dropped and is empty: the next checkpoint writes every pair.
  void store_was_replaced();

  [[nodiscard]] bool busy() const { return busy_; }
  // Takes the changes out of `machine`, whose state is that of `mark`, and writes checkpoint and
  // image. `done` is told on the lane when both are durable (or the error). Precondition: !busy().
  void begin(const AppliedMark& mark, StateMachine& machine, WorkDone done);

  // The index up to which the log may be forgotten: the older of two durable images (0 while
  // there are fewer).
  [[nodiscard]] Index durable_image() const;
  // The newest durable checkpoint.
  [[nodiscard]] Index durable_checkpoint() const { return checkpoint_; }

  // What one checkpoint writes, gathered on the lane.
  struct Plan {
    storage::ImageInfo info;
    std::vector<storage::StateWrite> batch;
    std::vector<std::pair<std::string, std::string>> pairs;
    bool rewrite = false;
  };

 private:
  // Learns which images are whole.
  Result<void> take_stock(const std::vector<std::string>& names, std::string& remark);
  Result<std::optional<AppliedMark>> restore_from_store(StateMachine& machine) const;
  Result<AppliedMark> restore_from_image(StateMachine& machine, std::string_view name) const;
  [[nodiscard]] Result<void> write(const Plan& plan) const;
  void completed(const AppliedMark& mark, const Result<void>& outcome, WorkDone done);

  const GroupId group_;
  const GroupIncarnation incarnation_;
  // Of this group's keys in the store.
  const std::string prefix_;
  storage::StateStore& store_;
  std::shared_ptr<storage::Directory> images_;
  Ports& ports_;
  // Indexes of image files believed whole, ascending.
  std::vector<Index> kept_;
  Index checkpoint_;
  // The next checkpoint writes every pair: the changes of a failed one are lost.
  bool rewrite_ = false;
  bool out_of_reach_ = false;
  bool busy_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
