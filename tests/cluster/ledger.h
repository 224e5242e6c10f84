#pragma once

// What producers were told about their records, and whether a reader's account agrees.
//
// Each record is named by (writer, sequence) in its value, whose bytes follow from that name. The
// Ledger notes the outcome of each append; an Audit goes through the records of a stream in the
// order a reader gives them and notes every breach of the promises: an acked record is there
// exactly once, at the shard and offset of its ack; a failed one is not there; an unknown one is
// there at most once; a writer's records of one shard stand in the order of their appends; offsets
// are dense.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"

namespace lignum::cluster {

struct RecordName {
  std::uint32_t writer = 0;
  std::uint64_t sequence = 0;
};

// "3 1017 xyz...": 20 to 1500 bytes that follow from the name alone.
[[nodiscard]] std::string value_of(RecordName name);

// Thread-safe: writers' callbacks and the test's thread share it.
class Ledger {
 public:
  // The outcome of one append.
  enum class State : std::uint8_t { kPending, kAcked, kFailed, kUnknown };
  struct Entry {
    State state = State::kPending;
    ShardNumber shard;
    Offset offset;
  };
  struct Totals {
    std::uint64_t pending = 0, acked = 0, failed = 0, unknown = 0;
  };

  explicit Ledger(std::uint32_t writers) : entries_(writers), pending_(writers) {}

  // Notes the start of the writer's next append, once fewer than `pending_max` of its appends have
  // no outcome. None once the ledger is closed.
  std::optional<RecordName> begin(std::uint32_t writer, std::uint64_t pending_max) EXCLUDES(mutex_);
  // No appends begin any more.
  void close() EXCLUDES(mutex_);
  void end(RecordName name, const Result<AppendAck>& outcome) EXCLUDES(mutex_);

  // Waits until `more` further appends are acked; false when `patience` is over first.
  bool wait_for_acks(std::uint64_t more, std::chrono::milliseconds patience) EXCLUDES(mutex_);

  [[nodiscard]] Entry entry(RecordName name) const EXCLUDES(mutex_);
  [[nodiscard]] Totals totals() const EXCLUDES(mutex_);
  // The first few errors that appends ended with, for people.
  [[nodiscard]] std::vector<std::string> errors() const EXCLUDES(mutex_);
  // Names of all appends whose outcome is `state`.
  [[nodiscard]] std::vector<RecordName> names(State state) const EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::vector<std::vector<Entry>> entries_ GUARDED_BY(mutex_);
  std::vector<std::uint64_t> pending_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  std::uint64_t acked_ GUARDED_BY(mutex_) = 0;
  std::vector<std::string> errors_ GUARDED_BY(mutex_);
};

// One thread uses it.
class Audit {
 public:
  struct Counts {
    std::uint64_t read = 0, duplicated = 0, reordered = 0, lost = 0, wrong = 0;
    friend bool operator==(const Counts&, const Counts&) = default;
  };

  explicit Audit(const Ledger& ledger) : ledger_(ledger) {}

  // The next record of the stream.
  void observe(const ReadRecord& record);
  // After the last record, when no append is pending: what was acked and never seen is lost.
  void finish();

  [[nodiscard]] const Counts& counts() const { return counts_; }
  // The first few breaches, in words.
  [[nodiscard]] const std::string& complaints() const { return complaints_; }

 private:
  void complain(std::uint64_t& count, const std::string& what);

  const Ledger& ledger_;
  Counts counts_;
  std::string complaints_;
  // By shard: where its records go on.
  std::map<ShardNumber, Offset> next_offset_;
  // By writer and shard: the sequence seen last.
  std::map<std::pair<std::uint32_t, ShardNumber>, std::uint64_t> last_;
  // By writer: which sequences were seen.
  std::map<std::uint32_t, std::vector<bool>> seen_;
};

}  // namespace lignum::cluster
