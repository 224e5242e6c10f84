#include "server/group/catch_up.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/buggify.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/recent_entries.h"
#include "storage/log.h"

namespace lignum::server {

CatchUp::CatchUp(Ports& ports, storage::Log& log, const RecentEntries& recent, Supply supply)
    : ports_(ports),
      log_(log),
      recent_(recent),
      supply_(std::move(supply)),
      alive_(std::make_shared<bool>(true)) {}

CatchUp::~CatchUp() { *alive_ = false; }

void CatchUp::fetch(const raft::Fetch& fetch) {
  if (buggify(Buggify::kServerFetchWaits)) {
    waiting_.push_back(fetch);
    return;
  }
  if (recent_.find(fetch.first) != nullptr) {
    return supply_(fetch, recent_.copy(fetch.first, fetch.last, fetch.bytes_max));
  }
  if (fetch.first < log_.first_index()) {
    return supply_(fetch, fail(Errc::kTrimmed, fmt::format("the log begins at entry {}",
                                                           log_.first_index().value())));
  }
  if (fetch.first > log_.last().index) {
    waiting_.push_back(fetch);
    return;
  }
  read(fetch);
}

void CatchUp::read(const raft::Fetch& fetch) {
  // What is in memory may not be on the disk yet.
  Index to = std::min(fetch.last, log_.last().index);
  if (!recent_.empty()) to = std::min(to, Index(recent_.first().value() - 1));
  std::shared_ptr<storage::ReadPlan> plan = log_.read(fetch.first, to, fetch.bytes_max);
  auto entries = std::make_shared<Result<std::vector<Entry>>>(std::vector<Entry>{});
  ports_.run(
      Pool::kRead,
      [plan = std::move(plan), entries]() -> Result<void> {
        *entries = plan->run();
        return {};
      },
      [this, alive = alive_, fetch, entries](const Result<void>& outcome) {
        if (!*alive) return;
        if (!outcome) {
          waiting_.push_back(fetch);
          return;
        }
        if (*entries) trim_to(**entries, fetch.bytes_max);
        supply_(fetch, std::move(*entries));
      });
}

void CatchUp::retry() {
  for (const raft::Fetch& each : std::exchange(waiting_, {})) fetch(each);
}

}  // namespace lignum::server
