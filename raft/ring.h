#pragma once

// A queue in one piece of memory, which it keeps: unlike std::deque it allocates nothing while it
// runs at a length that it once had.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "raft/check.h"

namespace lignum::raft {

// T is cheap to make, to copy and to leave behind.
template <class T>
class Ring {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Counted from the front; in range (CHECKed), as front() and back() are.
  [[nodiscard]] const T& at(std::size_t position) const {
    CHECK(position < size_);
    return slots_[(first_ + position) % slots_.size()];
  }
  [[nodiscard]] const T& front() const { return at(0); }
  [[nodiscard]] const T& back() const { return at(size_ - 1); }

  void push_back(T value) {
    if (size_ == slots_.size()) grow();
    slots_[(first_ + size_) % slots_.size()] = std::move(value);
    ++size_;
  }
  void pop_front() {
    CHECK(size_ > 0);
    first_ = (first_ + 1) % slots_.size();
    --size_;
  }
  void clear() {
    first_ = 0;
    size_ = 0;
  }

 private:
  static constexpr std::size_t kSlotsMin = 8;

  void grow() {
    // The oldest comes first again, so that the new slots follow the newest.
    std::ranges::rotate(slots_, slots_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
    slots_.resize(std::max(kSlotsMin, 2 * slots_.size()));
  }

  std::vector<T> slots_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace lignum::raft
