#pragma once

// The names of a simulated disk: directories whose entries are volatile until synced.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/sim/sim_inode.h"

namespace lignum::jepsen {

struct SimDirectory;

// What a name leads to: exactly one of the two is set.
struct SimEntry {
  std::shared_ptr<SimInode> file{};
  std::shared_ptr<SimDirectory> directory{};
  friend bool operator==(const SimEntry&, const SimEntry&) = default;
};

using SimNames = std::map<std::string, SimEntry, std::less<>>;

// One directory. Guarded by the disk's lock.
struct SimDirectory {
  // A change of names that is not synced. `from` is empty for a creation, `to` for a removal.
  struct Change {
    std::string from{};
    std::string to{};
    SimEntry entry{};
    bool abandoned = false;
  };

  SimNames now;
  SimNames durable;
  std::vector<Change> pending;
  bool locked = false;
  // By somebody else, while it was in use.
  bool removed = false;

  // Does it now, durable with the next sync().
  void change(const Change& change);
  void sync();
  // The sync that failed: what is pending now will never be made durable by a later one.
  void abandon_pending();
  // The names after a crash.
  [[nodiscard]] SimNames crashed(CrashDice& dice, Survival survival) const;
};

// A deep copy of the tree after a crash; `torn` is the file whose last sector tears, or null.
struct TreeCrash {
  Survival data = Survival::kAll;
  Survival names = Survival::kAll;
  const SimInode* torn = nullptr;
};
[[nodiscard]] std::shared_ptr<SimDirectory> crashed_tree(const SimDirectory& root, CrashDice& dice,
                                                         const TreeCrash& crash);
// A deep copy as the process sees it.
[[nodiscard]] std::shared_ptr<SimDirectory> cloned_tree(const SimDirectory& root);

// Takes the names of all files below away, as rm -r does.
void unlink_all(SimDirectory& directory);

// Ends the locks of a process that is gone.
void unlock_all(SimDirectory& root);

// Sizes of the files that the process can see below `root`, added up.
[[nodiscard]] std::uint64_t bytes_below(const SimDirectory& root);

// Every file the process can see below `root`, by path.
[[nodiscard]] std::map<std::string, std::shared_ptr<SimInode>> files_of(const SimDirectory& root);

}  // namespace lignum::jepsen
