#include "cli/bench/read_load.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/value_text.h"
#include "cli/bench/workload.h"
#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

constexpr std::chrono::milliseconds kPatience{1000};
// Glances at the interruption are not free.
constexpr std::uint64_t kGlanceEvery = 4096;

Result<void> for_each_record(Client& client, const std::string& stream,
                             const std::atomic<bool>& interrupted,
                             const std::function<void(const ReadRecord&)>& visit) {
  TailOptions options;
  options.streams = {stream};
  options.start.kind = TailStart::Kind::kEarliest;
  options.skip_gaps = true;
  TRY_ASSIGN(tail, client.tail(std::move(options)));
  for (std::uint64_t items = 0;; ++items) {
    TRY_ASSIGN(item, tail->next(kPatience));
    if (const auto* record = std::get_if<ReadRecord>(&item)) {
      visit(*record);
    } else if (std::holds_alternative<Tail::End>(item)) {
      return {};
    } else if (interrupted) {
      return fail(Errc::kCancelled, "interrupted");
    }
    if (items % kGlanceEvery == 0 && interrupted) return fail(Errc::kCancelled, "interrupted");
  }
}

}  // namespace

Result<RunResult> run_read_load(Client& client, const std::string& stream,
                                const std::atomic<bool>& interrupted) {
  RunResult result;
  const auto start = BenchClock::now();
  TRY(for_each_record(client, stream, interrupted, [&result](const ReadRecord& record) {
    ++result.records;
    result.bytes += record.value.size();
  }));
  result.seconds = std::chrono::duration<double>(BenchClock::now() - start).count();
  return result;
}

Result<void> read_back(Client& client, const std::vector<std::string>& streams, AckLedger& ledger,
                       const std::atomic<bool>& interrupted) {
  for (std::size_t lane = 0; lane < streams.size(); ++lane) {
    TRY(for_each_record(client, streams[lane], interrupted, [&](const ReadRecord& record) {
      ledger.found(lane, record.offset.value(), BenchValue::number_in(record.value));
    }));
  }
  return {};
}

}  // namespace lignum::cli
