// What a data group tells its log that nobody needs any more, and whether that has space. Part of
// DataGroup; see data_group.h.

#include <cstdint>
#include <limits>

#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/shard/shard_state.h"
#include "storage/log.h"

namespace lignum::server {

bool DataGroup::disk_full() const {
  // Since then the log has gone on trying.
  const auto& error = replica_.log().prepare_error();
  return disk_full_ && error && error->code() == Errc::kNoSpace;
}

void DataGroup::on_restored() {
  forget_below_starts();
  reader_.on_restored();
}

void DataGroup::forget_below_starts() {
  if (replica_.log().last().index > replica_.applied().index) return;
  starts_untold_ = false;
  for (const ShardKey key : replica_.log().shards()) forget_below_start(key);
}

// Tells the log what no reader needs any more.
void DataGroup::forget_below_start(ShardKey key) {
  const Shard* shard = state_->find(key);
  if (shard != nullptr && shard->start == Offset(0)) return;
  replica_.log().set_shard_start(
      key, shard == nullptr ? Offset(std::numeric_limits<std::uint64_t>::max()) : shard->start,
      replica_.applied().index);
  retainer_.space_freed();
}

}  // namespace lignum::server
