#include "jepsen/sim/sim_tree.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_inode.h"

namespace lignum::jepsen {

namespace {

void apply(SimNames& names, const SimDirectory::Change& change) {
  if (!change.from.empty()) {
    // By entry, not by name: a removal or rename that outlives the loss of an earlier rename must
    // not hit an older file of the same name.
    std::erase_if(names, [&](const auto& name) { return name.second == change.entry; });
  }
  if (!change.to.empty()) {
    names.insert_or_assign(change.to, change.entry);
  }
}

}  // namespace

void SimDirectory::change(const Change& change) {
  apply(now, change);
  pending.push_back(change);
}

void SimDirectory::sync() {
  for (const Change& change : pending) {
    if (!change.abandoned) {
      apply(durable, change);
    }
  }
  std::erase_if(pending, [](const Change& change) { return !change.abandoned; });
}

void SimDirectory::abandon_pending() {
  for (Change& change : pending) {
    change.abandoned = true;
  }
}

SimNames SimDirectory::crashed(CrashDice& dice, Survival survival) const {
  SimNames names = durable;
  const std::uint64_t percent = dice.draw_percent();
  for (const Change& change : pending) {
    if (survival == Survival::kAll || (survival == Survival::kRandom && dice.happens(percent))) {
      apply(names, change);
    }
  }
  return names;
}

namespace {

// Recursion ends with the tree: names come from open_directory() calls.
// NOLINTNEXTLINE(misc-no-recursion)
std::shared_ptr<SimDirectory> rebuilt(const SimDirectory& old, CrashDice* dice,
                                      const TreeCrash& crash) {
  auto copy = std::make_shared<SimDirectory>();
  for (const auto& [name, entry] : dice != nullptr ? old.crashed(*dice, crash.names) : old.now) {
    SimEntry& made = copy->now[name];
    if (entry.directory) {
      made.directory = rebuilt(*entry.directory, dice, crash);
      continue;
    }
    made.file = std::make_shared<SimInode>();
    made.file->links = 1;
    made.file->put(dice != nullptr
                       ? entry.file->crashed(*dice, crash.data, entry.file.get() == crash.torn)
                       : entry.file->current());
  }
  copy->durable = copy->now;
  return copy;
}

// NOLINTNEXTLINE(misc-no-recursion)
void collect(const SimDirectory& directory, const std::string& prefix,
             std::map<std::string, std::shared_ptr<SimInode>>& files) {
  for (const auto& [name, entry] : directory.now) {
    if (entry.directory) {
      collect(*entry.directory, prefix + name + "/", files);
    } else {
      files.emplace(prefix + name, entry.file);
    }
  }
}

}  // namespace

std::shared_ptr<SimDirectory> crashed_tree(const SimDirectory& root, CrashDice& dice,
                                           const TreeCrash& crash) {
  return rebuilt(root, &dice, crash);
}

std::shared_ptr<SimDirectory> cloned_tree(const SimDirectory& root) {
  return rebuilt(root, nullptr, {});
}

// NOLINTNEXTLINE(misc-no-recursion)
void unlink_all(SimDirectory& directory) {
  for (const auto& [name, entry] : directory.now) {
    if (entry.directory) {
      unlink_all(*entry.directory);
    } else {
      entry.file->links = 0;
    }
  }
  directory.now.clear();
  directory.durable.clear();
  directory.pending.clear();
  directory.removed = true;
}

// NOLINTNEXTLINE(misc-no-recursion)
void unlock_all(SimDirectory& root) {
  root.locked = false;
  for (const auto& [name, entry] : root.now) {
    if (entry.directory) {
      unlock_all(*entry.directory);
    }
  }
}

// NOLINTNEXTLINE(misc-no-recursion)
std::uint64_t bytes_below(const SimDirectory& root) {
  std::uint64_t bytes = 0;
  for (const auto& [name, entry] : root.now) {
    bytes += entry.directory ? bytes_below(*entry.directory) : entry.file->size();
  }
  return bytes;
}

std::map<std::string, std::shared_ptr<SimInode>> files_of(const SimDirectory& root) {
  std::map<std::string, std::shared_ptr<SimInode>> files;
  collect(root, "", files);
  return files;
}

}  // namespace lignum::jepsen
