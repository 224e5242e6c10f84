#include "net/producer_batch.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "net/client.h"
#include "raft/error.h"

namespace lignum::net {

void AppendWaiters::add(AppendWaiter waiter) {
  if (waiter.listener == nullptr) {
    waiter.tag = callbacks_.size();
    callbacks_.push_back(std::move(waiter.callback));
  }
  tags_.push_back(waiter.tag);
  if (!runs_.empty() && runs_.back().listener == waiter.listener) {
    ++runs_.back().count;
  } else {
    runs_.push_back({.listener = waiter.listener, .count = 1});
  }
}

std::size_t AppendWaiters::deliver_some(const Result<AppendAck>& first, std::size_t from,
                                        std::size_t count) const {
  const std::size_t until = from + std::min(count, size() - from);
  Result<AppendAck> ack = first;
  std::size_t run_begin = 0;
  for (const Run& run : runs_) {
    const std::size_t begin = std::max(from, run_begin);
    const std::size_t end = std::min(until, run_begin + run.count);
    run_begin += run.count;
    if (begin >= end) continue;
    const auto tags = std::span(tags_).subspan(begin, end - begin);
    if (run.listener != nullptr) {
      if (first) ack->offset = first->offset + begin;
      run.listener->on_appended(tags, ack);
    } else {
      for (std::size_t i = 0; i < tags.size(); ++i) {
        if (first) ack->offset = first->offset + begin + i;
        callbacks_.at(tags[i])(ack);
      }
    }
  }
  return until;
}

}  // namespace lignum::net
