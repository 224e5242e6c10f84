#pragma once

// Damage at rest, within what the cluster promises to survive: bits that rot, sectors that were
// never written or hold what belongs elsewhere, segments that are gone.
//
// An atlas is not kept but read: before a place is struck every other node's disk is looked at, and
// it is struck only where a majority of them hold the same entries sound. So no entry is ever lost
// that was committed, wherever all the strikes fall, and any loss is a bug. Two more kinds of
// damage are left out (docs/log_format.md): the end of an active segment that nothing proves to
// have been flushed, for it looks like a torn write; and the active segment as a whole, whose end
// only a majority without it could tell.
//
// Images are struck on one node only: all the others can give it theirs.
//
// Beyond that every copy may be struck, of manifests and images, too. Then groups halt, for good
// where nobody has what is missing; what they still answer has to be true.
//
// Owned by a run's faults. Deterministic.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_node.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/manifest.h"

namespace lignum::jepsen {

class Damage {
 public:
  struct Reach {
    // Wherever it falls.
    bool beyond = false;
    // Also the end of an active segment.
    bool unproven = false;
    // Also the images of the last node.
    bool images = false;
  };
  Damage(std::vector<SimNode*> nodes, const Reach& reach)
      : nodes_(std::move(nodes)), reach_(reach) {}

  // Strikes the disk of `node` once, while it is up or down. Says how; empty: there was no place.
  std::string_view strike(SimNode& node, Random& random);
  // Strikes the last entry of a log that a checkpoint or an image proves to have been there. Its
  // node must not lose its state store any more. As strike().
  std::string_view strike_end(SimNode& node, Random& random) const;

  // Every log of every node is whole on its disk. If not, `where` names the first that is not.
  [[nodiscard]] bool healed(std::string& where) const;

 private:
  // A frame on a disk.
  struct Frame {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t flushed = 0;
    // Of an entry.
    std::optional<Index> index;
    // What an entry or a skip stands for.
    std::optional<Index> first;
    Index last;
    Hash128 chain;
  };
  // One segment, and the run of its bytes that is to be struck.
  struct Target {
    GroupId group;
    std::string path;
    storage::SegmentRecord record;
    std::vector<std::byte> bytes;
    std::vector<Frame> frames;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    // No entry stands behind the run: markers that do go with it.
    bool last = false;
    // Entries up to it are proven to have been there, by what lies outside the log.
    Index proven{};
  };
  [[nodiscard]] bool loses_images(const SimNode& node) const {
    return reach_.beyond || (reach_.images && &node == nodes_.back());
  }
  // What the target's bytes belong to: entries, also such as were cleaned.
  struct Struck {
    Index first;
    Index last;
    // The first that was not cleaned.
    Index entry;
    Hash128 chain;
  };
  [[nodiscard]] static std::vector<Frame> frames_of(Bytes bytes,
                                                    const storage::SegmentRecord& record);
  [[nodiscard]] std::optional<Target> draw_target(SimNode& node, GroupId group,
                                                  Random& random) const;
  std::string_view strike_beside(SimNode& node, Random& random) const;
  std::string_view strike_segment(SimNode& node, Target& target, Random& random) const;
  std::string_view strike_bit(SimNode& node, Target& target, Random& random) const;
  std::string_view strike_blocks(SimNode& node, Target& target, Random& random) const;
  // It can be told from a torn write when it is gone, and so can the end of the log.
  [[nodiscard]] bool may_go(const Target& target, const Frame& frame) const;
  // None where it would be taken for a torn tail, or where no repair could bring it back.
  [[nodiscard]] std::optional<Struck> struck(const Target& target) const;
  // Enough others hold what the target holds a part of, and it can be told from a torn tail.
  [[nodiscard]] bool allowed(SimNode& node, const Target& target) const;
  // Nobody has to tell the node how far its log reached.
  [[nodiscard]] static bool knows_end(SimNode& node, GroupId group);
  [[nodiscard]] bool holds(SimNode& node, GroupId group, const Struck& struck) const;
  // The newest entry that an image on the node's disk has applied.
  [[nodiscard]] static Index imaged(SimNode& node, GroupId group);

  const std::vector<SimNode*> nodes_;
  const Reach reach_;
};

}  // namespace lignum::jepsen
