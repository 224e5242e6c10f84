#include "raft/options.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::raft {

namespace {

// A number of the options and the bounds that it has to keep, both included.
struct Bounded {
  std::string_view name;
  std::uint64_t value = 0;
  std::uint64_t min = 0;
  std::uint64_t max = UINT64_MAX;
};

Result<void> check(const Bounded& field) {
  const bool low = field.value < field.min;
  if (!low && field.value <= field.max) return {};
  return fail(Errc::kInvalidArgument,
              std::string(field.name) + " is " + std::to_string(field.value) + "; it must be at " +
                  (low ? "least " : "most ") + std::to_string(low ? field.min : field.max));
}

}  // namespace

Result<void> validate(const Options& options) {
  const std::array fields = {
      Bounded{.name = "election_ticks", .value = options.election_ticks, .max = kTicksMax},
      Bounded{.name = "heartbeat_ticks", .value = options.heartbeat_ticks, .min = 1},
      Bounded{
          .name = "priority_delay_ticks", .value = options.priority_delay_ticks, .max = kTicksMax},
      Bounded{.name = "uncommitted_bytes_max", .value = options.uncommitted_bytes_max, .min = 1},
      Bounded{.name = "append_bytes_max", .value = options.append_bytes_max, .min = 1},
      Bounded{.name = "inflight_messages_max", .value = options.inflight_messages_max, .min = 1},
      Bounded{.name = "inflight_bytes_max", .value = options.inflight_bytes_max, .min = 1},
      Bounded{.name = "reads_max", .value = options.reads_max, .min = 1},
  };
  for (const Bounded& field : fields) TRY(check(field));
  // One heartbeat may be lost without an election.
  if (options.election_ticks <= 2 * std::uint64_t{options.heartbeat_ticks}) {
    return fail(Errc::kInvalidArgument, "election_ticks is " +
                                            std::to_string(options.election_ticks) +
                                            "; it must be more than twice heartbeat_ticks (" +
                                            std::to_string(options.heartbeat_ticks) + ")");
  }
  return {};
}

}  // namespace lignum::raft
