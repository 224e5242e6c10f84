#include "server/group/log_scrubber.h"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <memory>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/log.h"
#include "storage/log_mark.h"

namespace lignum::server {

LogScrubber::LogScrubber(Parts parts)
    : parts_(std::move(parts)), alive_(std::make_shared<bool>(true)) {}

LogScrubber::~LogScrubber() { *alive_ = false; }

void LogScrubber::tick(std::int64_t now) {
  if (busy_ || now < next_at_) return;
  const Index to = parts_.log.durable();
  if (at_ >= to) {
    at_ = Index();
    ++passes_;
    next_at_ = std::max(pass_began_ + parts_.pace.pass_every_us, now + parts_.pace.piece_every_us);
    return;
  }
  if (at_ == Index()) pass_began_ = now;
  busy_ = true;
  auto read =
      std::make_shared<storage::KeptRead>(parts_.log.read_kept(at_, to, parts_.pace.piece_bytes));
  auto reached = std::make_shared<Result<Index>>(at_);
  parts_.ports.run(
      Pool::kRead,
      [read, reached]() -> Result<void> {
        const auto items = (*read)();
        if (!items) {
          *reached = std::unexpected(items.error());
        } else if (!items->empty()) {
          const storage::KeptItem& last = items->back();
          *reached = last.skip_to ? last.skip_to->id.index : last.entry.header.index;
        }
        return {};
      },
      [this, alive = alive_, now, reached, to](const Result<void>& outcome) {
        if (!*alive) return;
        busy_ = false;
        next_at_ = now + parts_.pace.piece_every_us;
        if (outcome) on_read(*reached, to);
      });
}

void LogScrubber::on_read(const Result<Index>& reached, Index to) {
  if (!reached) {
    // What only could not be read is tried again.
    if (reached.error().code() == Errc::kCorrupt) parts_.damaged(reached.error());
    return;
  }
  // Nothing is kept of what is left.
  at_ = *reached > at_ ? *reached : to;
}

}  // namespace lignum::server
