#pragma once

// Virtual time: what happens next in a simulated world.
//
// Events run one at a time, ordered by (time, sequence): two events of one moment run in the order
// in which they were asked for, so the same calls give the same run. Owned by a World; one thread.
// Nothing here ever waits: a step moves the time to the next event at once.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "net/moment.h"

namespace lignum::jepsen {

using Moment = net::Moment;

class EventQueue {
 public:
  using Action = std::move_only_function<void()>;

  // Events that wait at one time; beyond it something feeds itself, which is a mistake (CHECKed).
  static constexpr std::size_t kWaitingMax = std::size_t{1} << 22;

  // Microseconds since the world began.
  [[nodiscard]] Moment now() const { return now_; }
  // Runs `action` at `when`; at once, behind what waits for this moment, where that has passed.
  void at(Moment when, Action action);
  void after(Moment delay, Action action) { at(now_ + delay, std::move(action)); }

  // Runs the next event. False when there is none.
  bool step();
  // When the next event is due.
  [[nodiscard]] std::optional<Moment> next() const;
  // Events run so far.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  // The heap holds small values; the actions lie still in slots.
  struct Due {
    Moment when = 0;
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;
    friend bool operator>(const Due& a, const Due& b) {
      return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
  };

  Moment now_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Due> heap_;
  std::vector<Action> slots_;
  std::vector<std::uint32_t> free_slots_;
};

}  // namespace lignum::jepsen
