// Linearizable reads without a log entry (Raft thesis 6.4). Part of Core; see core_state.h.

#include <cstdint>
#include <optional>

#include "raft/core.h"
#include "raft/core_state.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/read_tracker.h"
#include "raft/types.h"

namespace lignum::raft {

Result<std::uint64_t> Core::State::read_index() {
  if (reads.size() >= options.reads_max) {
    return fail(Errc::kOverloaded, "too many reads wait for their confirmation; retry");
  }
  const auto leader = known_leader();
  if (damaged || !leader) return fail(Errc::kNotLeader, "the group has no leader yet");
  const std::uint64_t id = reads.mint_id();
  if (*leader == self) {
    reads.gather({.id = id, .from = std::nullopt});
  } else {
    reads.ask(id);
    send(*leader, ReadRequest{.term = hard_state.term, .id = id});
  }
  return id;
}

void Core::State::on_read_request(const ReplicaId& from, const ReadRequest& request) {
  if (leading() == nullptr || reads.size() >= options.reads_max) return;
  reads.gather({.id = request.id, .from = from});
}

void Core::State::on_read_reply(const ReplicaId& from, const ReadReply& reply) {
  if (known_leader() != from || !reads.close(reply.id)) return;
  reads_ready.push_back({.id = reply.id, .index = reply.index});
}

// One round serves all reads that have gathered. A leader that has committed nothing of its own yet
// does not know the commit index (the round waits for that).
void Core::State::begin_read_round() {
  const Leader* const leader = leading();
  if (leader == nullptr || !reads.gathering()) return;
  if (commit < leader->start && !mutant(Mutant::kReadBeforeOwnCommit)) return;
  reads.begin_round(commit);
  send_heartbeats();
  release_reads();
}

void Core::State::release_reads() {
  for (const ReadTracker::Confirmed& confirmed : reads.take_confirmed(membership(), self)) {
    if (confirmed.read.from) {
      send(*confirmed.read.from,
           ReadReply{.term = hard_state.term, .id = confirmed.read.id, .index = confirmed.index});
    } else {
      reads_ready.push_back({.id = confirmed.read.id, .index = confirmed.index});
    }
  }
}

void Core::State::fail_reads() { reads.fail_all(reads_ready); }

}  // namespace lignum::raft
