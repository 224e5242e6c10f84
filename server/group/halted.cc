#include "server/group/halted.h"

#include <string>
#include <utility>

#include <fmt/format.h>
#include "raft/error.h"

namespace lignum::server {

Error halted_error(const HaltedReplica& replica) {
  std::string text = fmt::format("group {} is halted on node {}: {}", replica.group.value(),
                                 replica.node.value(), replica.damage);
  if (!replica.alone) return {Errc::kNotLeader, std::move(text)};
  text += replica.readable ? ". It takes nothing more; what can be read is served"
                           : ". It could not be opened, so it takes and serves nothing";
  text +=
      ". Stop that logd and run 'logctl verify' on its data directory: "
      "docs/operating/disk-failure.md";
  return {Errc::kHalted, std::move(text)};
}

}  // namespace lignum::server
