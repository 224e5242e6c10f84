#include "jepsen/sim/event_queue.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "raft/check.h"

namespace lignum::jepsen {

void EventQueue::at(Moment when, Action action) {
  CHECK(heap_.size() < kWaitingMax);
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(std::move(action));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = std::move(action);
  }
  heap_.push_back({.when = std::max(when, now_), .sequence = sequence_++, .slot = slot});
  std::ranges::push_heap(heap_, std::greater<>{});
}

bool EventQueue::step() {
  if (heap_.empty()) return false;
  std::ranges::pop_heap(heap_, std::greater<>{});
  const Due due = heap_.back();
  heap_.pop_back();
  now_ = due.when;
  ++steps_;
  // Out of its slot first: it may ask for further events.
  Action action = std::exchange(slots_[due.slot], nullptr);
  free_slots_.push_back(due.slot);
  action();
  return true;
}

std::optional<Moment> EventQueue::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().when;
}

}  // namespace lignum::jepsen
