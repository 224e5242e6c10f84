#include "jepsen/check/history.h"

#include <cstdint>
#include <span>
#include <vector>

#include "raft/check.h"

namespace lignum::jepsen {

namespace {

template <class Item>
void push(std::vector<Item>& items, const Item& item) {
  CHECK(items.size() < kHistoryItemsMax);
  items.push_back(item);
}

}  // namespace

void ShardHistory::add(const Append& append) {
  CHECK(append.count > 0 && append.count <= kAppendRecordsMax);
  // The two highest numbers stand for records that are unreadable and unknown.
  CHECK(append.value.sequence() + append.count < Value::kSequenceMax);
  push(appends_, append);
}

void ShardHistory::add(const Read& read, std::span<const Value> values) {
  push(reads_, ReadRecords{read, keep(values)});
}

void ShardHistory::add(const Trimmed& trimmed) { push(trimmed_, trimmed); }

void ShardHistory::add(const Tail& tail, std::span<const Value> values) {
  CHECK(tail.client < kHistoryClientsMax);
  CHECK(values.empty() || tail.event == TailEvent::kRecords);
  push(tails_, TailRecords{tail, keep(values)});
}

void ShardHistory::add(const Trim& trim) { push(trims_, trim); }

void ShardHistory::add(const Watermark& watermark) {
  CHECK(watermark.replica < kHistoryClientsMax);
  push(watermarks_, watermark);
}

void ShardHistory::add(const Chain& chain) { push(chains_, chain); }

void ShardHistory::add_log(const LogPiece& piece, std::span<const Value> values) {
  CHECK(piece.start.value() + values.size() < kHistoryItemsMax);
  push(logs_, LogRecords{piece, keep(values)});
}

ShardHistory::Slice ShardHistory::keep(std::span<const Value> values) {
  CHECK(values.size() < kHistoryItemsMax);
  const Slice slice{.first = values_.size(), .count = static_cast<std::uint32_t>(values.size())};
  values_.insert(values_.end(), values.begin(), values.end());
  return slice;
}

std::span<const Value> ShardHistory::values(const Slice& slice) const {
  return std::span(values_).subspan(slice.first, slice.count);
}

std::uint64_t ShardHistory::operations() const {
  return appends_.size() + reads_.size() + trimmed_.size() + tails_.size();
}

}  // namespace lignum::jepsen
