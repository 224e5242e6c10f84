#include "raft/invariants.h"

#include "raft/check.h"
#include "raft/core.h"
#include "raft/membership.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

void check_state(const Core& core) {
  CHECK(core.base().index <= core.commit());
  CHECK(core.commit() <= core.last().index);
  CHECK(core.durable() >= core.base().index);
  CHECK(core.durable() <= core.last().index);
  CHECK(core.term() >= core.last().term);
  CHECK(core.recovery() >= core.membership().recovery);
  // (Together, too; but to count them without doubles would cost memory at every step.)
  const Membership& members = core.membership();
  for (const auto* list :
       {&members.voters, &members.outgoing, &members.learners, &members.learners_next}) {
    CHECK(list->size() <= kMembersMax);
  }
  switch (core.role()) {
    case Role::kLeader: {
      const auto start = core.leadership_start();
      CHECK(start.has_value());
      CHECK(*start <= core.last().index);
      CHECK(*start < core.base().index || core.term_at(*start) == core.term());
      CHECK(core.last().term == core.term());
      CHECK(core.vote() == core.self());
      CHECK(!core.damaged());
      CHECK(!core.left_behind());
      break;
    }
    case Role::kCandidate:
      CHECK(core.vote() == core.self());
      CHECK(!core.leader());
      break;
    case Role::kPreCandidate:
      CHECK(!core.leader());
      break;
    case Role::kFollower:
      CHECK(core.leader() != core.self());
      break;
  }
}

}  // namespace

Observation observe(const Core& core) {
  return {.role = core.role(),
          .term = core.term(),
          .vote = core.vote(),
          .last = core.last(),
          .commit = core.commit(),
          .leadership_start = core.leadership_start(),
          .recovery = core.recovery()};
}

void check_invariants(const Observation& before, const Core& core) {
  check_state(core);
  CHECK(core.term() >= before.term);
  CHECK(core.commit() >= before.commit);
  CHECK(core.recovery() >= before.recovery);
  // One vote in a term.
  if (core.term() == before.term && before.vote) CHECK(core.vote() == before.vote);
  // A leader only ever appends, and a term it has led it does not begin to lead again.
  if (before.role == Role::kLeader && core.role() == Role::kLeader) {
    CHECK(core.term() == before.term);
    CHECK(core.leadership_start() == before.leadership_start);
    CHECK(core.last() >= before.last);
  }
}

}  // namespace lignum::raft
