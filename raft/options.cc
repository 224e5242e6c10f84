#include "raft/options.h"

#include <string>

#include "raft/error.h"

namespace lignum::raft {

Result<void> validate(const Options& options) {
  if (options.heartbeat_ticks == 0) {
    return fail(Errc::kInvalidArgument, "heartbeat_ticks is 0; it must be at least 1");
  }
  if (options.election_ticks <= 2 * options.heartbeat_ticks) {
    return fail(Errc::kInvalidArgument, "election_ticks is " +
                                            std::to_string(options.election_ticks) +
                                            "; it must be more than twice heartbeat_ticks (" +
                                            std::to_string(options.heartbeat_ticks) + ")");
  }
  if (options.uncommitted_bytes_max == 0) {
    return fail(Errc::kInvalidArgument, "uncommitted_bytes_max is 0; nothing could be appended");
  }
  return {};
}

}  // namespace lignum::raft
