#include "raft/inflights.h"

#include <cstddef>

#include "raft/check.h"
#include "raft/types.h"

namespace lignum::raft {

Inflights::Inflights(Limits limits) : limits_(limits) {
  CHECK(limits_.messages_max > 0);
  CHECK(limits_.bytes_max > 0);
}

bool Inflights::full() const {
  return messages_.size() >= limits_.messages_max || bytes_ >= limits_.bytes_max;
}

void Inflights::add(Index last, std::size_t bytes) {
  CHECK(!full());
  CHECK(messages_.empty() || last > messages_.back().last);
  messages_.push_back({.last = last, .bytes = bytes});
  bytes_ += bytes;
}

void Inflights::free_to(Index index) {
  while (!messages_.empty() && messages_.front().last <= index) free_first();
}

void Inflights::free_first() {
  bytes_ -= messages_.front().bytes;
  messages_.pop_front();
}

void Inflights::clear() {
  messages_.clear();
  bytes_ = 0;
}

std::size_t Inflights::recount_bytes() const {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < messages_.size(); ++i) sum += messages_.at(i).bytes;
  return sum;
}

}  // namespace lignum::raft
