#include "net/producer_batch.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "net/client.h"
#include "raft/error.h"
#include "storage/record_batch_builder.h"

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

void AppendWaiters::deliver_some(const Result<AppendAck>& first, std::size_t begin,
                                 std::size_t end) const {
  Result<AppendAck> ack = first;
  std::size_t run_begin = 0;
  for (const Run& run : runs_) {
    const std::size_t from = std::max(begin, run_begin);
    const std::size_t to = std::min(end, run_begin + run.count);
    run_begin += run.count;
    if (from >= to) continue;
    const auto tags = std::span(tags_).subspan(from, to - from);
    if (run.listener != nullptr) {
      if (first) ack->offset = first->offset + from;
      run.listener->on_appended(tags, ack);
    } else {
      for (std::size_t i = 0; i < tags.size(); ++i) {
        if (first) ack->offset = first->offset + from + i;
        callbacks_.at(tags[i])(ack);
      }
    }
  }
}

BatchBuilder SpareBuilders::take() {
  if (spares_.empty()) return BatchBuilder(limits_);
  BatchBuilder builder = std::move(spares_.back());
  spares_.pop_back();
  return builder;
}

void SpareBuilders::give_back(BatchBuilder builder) {
  if (spares_.size() == kSparesMax) return;
  builder.clear();
  spares_.push_back(std::move(builder));
}

}  // namespace lignum::net
