// Random lives of the core: ticks, proposals, flushes that end late, messages, power cuts.
//
// The world keeps what a disk would: the hard state and the entries of persist operations whose
// flush ended, and, at a power cut, of any prefix of those still under way. After every step the
// promises are checked against that disk alone. LIGNUM_PROOF=full runs many more seeds.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/log_view.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::raft {
namespace {

constexpr ReplicaId kSelf{.node = NodeId(1), .incarnation = NodeIncarnation(1)};
constexpr ReplicaId kStranger{.node = NodeId(9), .incarnation = NodeIncarnation(9)};

struct Disk {
  HardState hard_state;
  std::vector<Term> terms;  // of entry i + 1

  void take(const PersistOp& op) {
    if (op.hard_state) {
      EXPECT_GE(op.hard_state->term, hard_state.term);
      hard_state = *op.hard_state;
    }
    for (const Entry& entry : op.append) {
      EXPECT_EQ(entry.header.index.value(), terms.size() + 1);
      EXPECT_LE(entry.header.term, hard_state.term) << "an entry of a term that is not durable";
      terms.push_back(entry.header.term);
    }
  }
  [[nodiscard]] std::vector<TermRun> runs() const {
    std::vector<TermRun> runs;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      if (runs.empty() || runs.back().term != terms[i]) {
        runs.push_back({.first = Index(i + 1), .term = terms[i]});
      }
    }
    return runs;
  }
  [[nodiscard]] LogId last() const {
    return {.term = terms.empty() ? Term(0) : terms.back(), .index = Index(terms.size())};
  }
};

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed, "core life"), core_(reboot()) {}

  void run() {
    constexpr int kSteps = 600;
    for (int i = 0; i < kSteps && !::testing::Test::HasFailure(); ++i) {
      act();
      check();
    }
  }
  [[nodiscard]] Index acknowledged() const { return acknowledged_; }
  [[nodiscard]] int leaderships() const { return leaderships_; }

 private:
  Core reboot() {
    // At boot the term is at least that of the last entry (Boot::hard_state).
    if (disk_.hard_state.term < disk_.last().term) {
      disk_.hard_state = {
          .term = disk_.last().term, .vote = std::nullopt, .recovery = disk_.hard_state.recovery};
    }
    boot_term_ = disk_.hard_state.term;
    boot_last_ = disk_.last();
    applied_ = boot_applied_ = Index(random_.below(acknowledged_.value() + 1));
    in_flight_.clear();
    return {{.uncommitted_bytes_max = 2000},
            {.self = kSelf,
             .group = GroupIncarnation(1),
             .hard_state = disk_.hard_state,
             .base = {},
             .last = disk_.last(),
             .terms = disk_.runs(),
             .commit = applied_,
             .configs = {{.index = Index(0), .membership = {.voters = {kSelf}}}}}};
  }

  void act() {
    const std::uint64_t draw = random_.below(100);
    if (draw < 10) {
      core_.tick();
    } else if (draw < 50) {
      propose();
    } else if (draw < 70) {
      take();
    } else if (draw < 93) {
      complete();
    } else if (draw < 97) {
      core_.step({.from = kStranger,
                  .to = kSelf,
                  .body = RequestVote{
                      .term = Term(random_.below(1000)), .last = {}, .kind = Campaign::kPreVote}});
    } else {
      cut_power();
    }
  }

  void propose() {
    Entry entry;
    entry.header.kind = EntryKind::kBatch;
    entry.payload = Payload(std::vector<std::byte>(random_.below(700)));
    const LogId before = core_.last();
    const auto id = core_.propose(std::move(entry));
    if (id) {
      EXPECT_EQ(id->index, before.index.next());
      EXPECT_EQ(id->term, core_.term());
      EXPECT_EQ(core_.role(), Role::kLeader);
    } else {
      EXPECT_EQ(core_.last(), before);
      const Errc wanted = core_.role() == Role::kLeader ? Errc::kOverloaded : Errc::kNotLeader;
      EXPECT_EQ(id.error().code(), wanted);
    }
  }

  void take() {
    Output output = core_.take_output();
    EXPECT_FALSE(core_.has_output());
    EXPECT_GE(output.commit, applied_);
    applied_ = output.commit;
    acknowledged_ = std::max(acknowledged_, applied_);
    if (output.persist) in_flight_.push_back(std::move(*output.persist));
    if (output.role_change && output.role_change->role == Role::kLeader) {
      ++leaderships_;
      EXPECT_GT(output.role_change->term, led_) << "two leaderships of one term";
      led_ = output.role_change->term;
    }
  }

  void complete() {
    if (in_flight_.empty()) return;
    const PersistOp op = std::move(in_flight_.front());
    in_flight_.pop_front();
    disk_.take(op);
    core_.on_persisted(op.token);
  }

  // Whatever part of the flushes under way reached the disk, in their order.
  void cut_power() {
    const std::uint64_t survive = random_.below(in_flight_.size() + 1);
    for (std::uint64_t i = 0; i < survive; ++i) disk_.take(in_flight_[i]);
    core_ = reboot();
    EXPECT_EQ(core_.role(), Role::kFollower);
    EXPECT_GE(disk_.last().index, acknowledged_) << "an acknowledged entry is gone";
  }

  void check() const {
    const Index commit = core_.commit();
    EXPECT_LE(commit.value(), disk_.terms.size()) << "committed beyond the disk";
    if (core_.role() == Role::kLeader) {
      EXPECT_EQ(disk_.hard_state.term, core_.term()) << "leads a term that is not durable";
      EXPECT_EQ(disk_.hard_state.vote, kSelf);
      EXPECT_GT(core_.term(), boot_term_);
    }
    // Entries found at boot commit with the first durable entry of an own term, not before.
    const bool own_term_durable = disk_.last().index > boot_last_.index;
    if (commit > boot_applied_ && !own_term_durable) ADD_FAILURE() << "an old entry was counted";
  }

  Random random_;
  Disk disk_;
  Term boot_term_;
  LogId boot_last_;
  Index boot_applied_;
  // Committed as the host was told in this life.
  Index applied_;
  // The highest that was ever told: clients may have been answered.
  Index acknowledged_;
  std::deque<PersistOp> in_flight_;
  int leaderships_ = 0;
  Term led_;
  Core core_;
};

int seeds() {
  const char* proof = std::getenv("LIGNUM_PROOF");
  return proof != nullptr && std::string_view(proof) == "full" ? 20'000 : 400;
}

TEST(CoreLife, KeepsItsPromisesThroughAnyOrderOfEvents) {
  std::uint64_t acknowledged = 0;
  int leaderships = 0;
  for (int seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(seed);
    Life life(static_cast<std::uint64_t>(seed));
    life.run();
    if (HasFailure()) return;
    acknowledged += life.acknowledged().value();
    leaderships += life.leaderships();
  }
  // The histories are worth something: they do commit, over many leaderships.
  EXPECT_GT(acknowledged / static_cast<std::uint64_t>(seeds()), 20U);
  EXPECT_GT(leaderships / seeds(), 3);
}

// Same calls, same outputs.
TEST(CoreLife, IsDeterministic) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Life first(seed);
    Life second(seed);
    first.run();
    second.run();
    EXPECT_EQ(first.acknowledged(), second.acknowledged());
    EXPECT_EQ(first.leaderships(), second.leaderships());
  }
}

}  // namespace
}  // namespace lignum::raft
