#include "raft/inflights.h"

#include <algorithm>
#include <cstddef>

#include "raft/check.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

// A window that is never used costs nothing, a small one little.
constexpr std::size_t kRingMin = 8;

}  // namespace

Inflights::Inflights(Limits limits) : limits_(limits) {
  CHECK(limits_.messages_max > 0);
  CHECK(limits_.bytes_max > 0);
}

bool Inflights::full() const {
  return count_ >= limits_.messages_max || bytes_ >= limits_.bytes_max;
}

void Inflights::add(Index last, std::size_t bytes) {
  CHECK(!full());
  CHECK(count_ == 0 || last > at(count_ - 1).last);
  if (count_ == ring_.size()) grow();
  ring_[(first_ + count_) % ring_.size()] = {.last = last, .bytes = bytes};
  ++count_;
  bytes_ += bytes;
}

void Inflights::free_to(Index index) {
  while (count_ > 0 && at(0).last <= index) free_first();
}

void Inflights::free_first() {
  CHECK(count_ > 0);
  bytes_ -= at(0).bytes;
  first_ = (first_ + 1) % ring_.size();
  --count_;
}

void Inflights::clear() {
  first_ = 0;
  count_ = 0;
  bytes_ = 0;
}

std::size_t Inflights::recount_bytes() const {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count_; ++i) sum += at(i).bytes;
  return sum;
}

const Inflights::Message& Inflights::at(std::size_t position) const {
  return ring_[(first_ + position) % ring_.size()];
}

void Inflights::grow() {
  // The oldest message comes first again, so that the new slots follow the newest.
  std::ranges::rotate(ring_, ring_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
  ring_.resize(std::min(std::max(kRingMin, 2 * ring_.size()), limits_.messages_max));
}

}  // namespace lignum::raft
