#pragma once

// One simulated file: what a process sees, what is durable, and the changes in between.

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "jepsen/sim/paged_bytes.h"
#include "jepsen/sim/sim_disk.h"
#include "raft/payload.h"

namespace lignum::jepsen {

// Random choices of a crash, the same for the same seed on every platform.
class CrashDice {
 public:
  explicit CrashDice(std::uint64_t seed) : engine_(seed) {}
  // 0 .. bound - 1; bound is not 0.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  // A chance for a group of choices, in percent: some groups survive mostly, some hardly.
  std::uint64_t draw_percent() { return 10 + 40 * below(3); }
  bool happens(std::uint64_t percent) { return below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

// Owned by the directory entries and handles that refer to it; guarded by the disk's lock.
// Pending changes are kept as whole sectors, as the page cache holds them: a later sector contains
// the earlier writes to it.
class SimInode {
 public:
  [[nodiscard]] std::uint64_t size() const { return now_.size(); }
  std::size_t read(std::uint64_t position, std::span<std::byte> out) const {
    return now_.read(position, out);
  }
  // `call` numbers the write, so that a crash knows which one was the last.
  void write(std::uint64_t position, Bytes data, std::uint64_t call);
  void resize(std::uint64_t bytes);
  void sync();
  // The sync that failed: what is pending now will never be made durable by a later one.
  void abandon_pending();

  // Number of the last pending write; 0 when none.
  [[nodiscard]] std::uint64_t last_pending_write() const;
  // The file after a crash; `tear` tears the last sector of the last pending write.
  [[nodiscard]] PagedBytes crashed(CrashDice& dice, Survival data, bool tear) const;
  [[nodiscard]] const PagedBytes& current() const { return now_; }

  // Sets both states at once: damage, or the start of a new disk.
  void put(const PagedBytes& bytes);
  void flip(std::uint64_t byte, std::uint8_t mask);

  int links = 0;    // names that lead here, as the process sees it
  int handles = 0;  // open files

 private:
  struct Change {
    bool resized = false;
    bool abandoned = false;
    std::uint64_t new_size = 0;  // of a resize
    std::uint64_t call = 0;
    // Of a write; from the beginning of a sector to the end of one, or of the file.
    PagedBytes::Part written{};
  };
  void apply(PagedBytes& target, const Change& change) const;
  void supersede(std::size_t newer);

  PagedBytes now_;
  PagedBytes durable_;
  std::vector<Change> pending_;
};

}  // namespace lignum::jepsen
