#pragma once

// Gets an image of the state from a sound member, for a log whose lost entries are nowhere any
// more, or one whose beginning no state here reaches (net/repair_messages.h,
// docs/design/0007-repair-of-damaged-ranges.md).
//
//     begin ─► ask a member ─► piece ─► staged ─┐     all of it, verified ─► done(where it stands)
//                 ▲    ▲                        │
//                 │    └────────────────────────┘     no member has one   ─► done(none)
//                 └── none, or lost: the next member
//
// What arrives is the group's image.part: it becomes an image when the log has reached its entry
// (storage/image_transfer.h), and is debris until then. Owned by a LogRepairer, on the group's
// lane.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/repair_messages.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/log_mark.h"

namespace lignum::server {

class RepairImageFetch {
 public:
  // An answer that has not come by then is asked for again, so many times of one member.
  static constexpr std::uint32_t kAnswerTicks = 10;
  static constexpr std::uint32_t kTriesMax = 3;

  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    ReplicaId self;
    // The newest recovery from a lost quorum that this replica has heard of.
    std::uint64_t recovery = 0;
    Ports& ports;
    // Opens the directory of the group's images; on the background pool.
    std::function<Result<std::shared_ptr<storage::Directory>>()> directory;
    // Runs work on that pool, one at a time; `then` is not called where the owner stops meanwhile.
    std::function<void(Work, std::function<void(const Result<void>&)> then)> run;
    // One of these once for each begin(), never from inside of it. `failed`: what arrives cannot be
    // kept here, whoever sends it (kNoSpace, kIo).
    std::function<void(const std::optional<storage::LogMark>&)> done;
    std::function<void(const Error&)> failed;
  };
  explicit RepairImageFetch(Parts parts);

  // An image of `least` or a later entry. At least one peer. Precondition: not under_way().
  void begin(std::vector<ReplicaId> peers, Index least);
  [[nodiscard]] bool under_way() const { return !peers_.empty(); }
  void receive(const net::RepairImage& piece);
  void tick();

 private:
  // What the pool works on.
  struct Staged {
    std::shared_ptr<storage::Directory> directory;
    std::unique_ptr<storage::StagedImage> image;
    // Of the whole image, when all of it is here.
    std::optional<storage::LogMark> mark;
  };

  void ask();
  void ask_next();
  void drop();
  void end(const std::optional<storage::LogMark>& mark);
  void add(const net::RepairImage& piece);
  [[nodiscard]] static Result<void> add_on_pool(const Parts& parts, Index least, Staged& staged,
                                                const net::RepairImage& piece);

  const Parts parts_;
  std::vector<ReplicaId> peers_;
  std::size_t peer_ = 0;
  Index least_;
  std::uint64_t number_ = 0;
  // Of the first question to the member that is asked.
  std::uint64_t first_number_ = 0;
  std::uint32_t tries_ = 0;
  // None: nothing is waited for.
  std::optional<std::uint32_t> ticks_left_;
  // The image that was begun, and how much of it is here.
  std::optional<LogId> image_;
  std::uint64_t bytes_ = 0;
  std::shared_ptr<Staged> staged_;
};

}  // namespace lignum::server
