// Long lives of one follower's Progress: a leader whose log grows and is compacted, a follower with
// a tail of its own, and a network that loses, doubles and reorders everything. What the leader
// believes is compared with the follower's log after every step.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/log_view.h"
#include "raft/progress.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::raft {
namespace {

struct Append {
  LogId previous;
  std::vector<Term> terms;
};
struct Snap {
  LogId id;
};
struct Beat {};
struct Accepted {
  Index match;
};
struct Rejected {
  Index previous;
  LogId conflict;
};
struct BeatAnswered {};
using Packet = std::variant<Append, Snap, Beat, Accepted, Rejected, BeatAnswered>;

LogView grown(Random& random, std::uint64_t parity, LogView log, std::uint64_t entries) {
  for (std::uint64_t i = 0; i < entries; ++i) {
    std::uint64_t term = log.last().term.value() + (random.chance(1, 4) ? 1 : 0);
    // The two logs share no term after they part, so equal ids mean equal logs.
    if (term % 2 != parity) ++term;
    log.append({.term = Term(term), .index = log.last().index.next()});
  }
  return log;
}

class Life {
 public:
  explicit Life(std::uint64_t seed)
      : random_(seed, "progress"),
        leader_(LogId{}, LogId{}, {}),
        follower_(leader_),
        progress_(1, Index(1), {}) {
    const LogView common = grown(random_, 0, leader_, random_.below(10));
    follower_ = grown(random_, 1, common, random_.below(12));
    leader_ = grown(random_, 0, common, random_.below(12));
    term_ = Term(std::max(follower_.last().term, leader_.last().term).value() + 1);
    make_durable();
    progress_ =
        Progress(1, leader_.last().index.next(),
                 {.messages_max = 1 + random_.below(4), .bytes_max = 1 + random_.below(20)});
    grow();
  }

  void run() {
    for (int step = 0; step < 300 && !::testing::Test::HasFatalFailure(); ++step) act();
    settle();
  }

 private:
  void act() {
    switch (random_.below(12)) {
      case 0:
      case 1:
        return grow();
      case 2:
        return compact();
      case 3:
        network_.emplace_back(Beat{});
        return;
      case 4:
        if (random_.chance(1, 8)) progress_.on_unreachable();
        return check();
      case 5:
        return end_snapshot(random_.chance(2, 3));
      default:
        return deliver(true);
    }
  }

  // Nothing is lost any more: the follower gets it all.
  void settle() {
    for (int round = 0; round < 200 && !::testing::Test::HasFatalFailure(); ++round) {
      network_.emplace_back(Beat{});
      end_snapshot(true);
      while (!network_.empty() && !::testing::Test::HasFatalFailure()) deliver(false);
    }
    EXPECT_EQ(progress_.match(), leader_.last().index);
    EXPECT_EQ(progress_.state(), ProgressState::kReplicate);
    EXPECT_EQ(progress_.inflights().count(), 0U);
  }

  void make_durable() {
    leader_.submit();
    leader_.on_durable(leader_.truncation(), leader_.last());
  }

  void grow() {
    for (std::uint64_t i = random_.below(4) + 1; i > 0; --i) {
      leader_.append({.term = term_, .index = leader_.last().index.next()});
    }
    make_durable();
    send();
  }

  void compact() {
    const std::uint64_t base = leader_.base().index.value();
    const Index to(base + random_.below(leader_.last().index.value() - base + 1) / 2);
    leader_.compact({.term = leader_.term_at(to).value(), .index = to});
  }

  void send() {
    while (!progress_.paused()) {
      const Index previous(progress_.next().value() - 1);
      const std::optional<Term> term = leader_.term_at(previous);
      if (!term) {
        progress_.become_snapshot();
        snapshot_ = leader_.base();
        network_.emplace_back(Snap{.id = *snapshot_});
        break;
      }
      Append append{.previous = {.term = *term, .index = previous}, .terms = {}};
      if (!progress_.inflights().full()) {
        const std::uint64_t room = leader_.last().index - previous;
        for (std::uint64_t i = 1; i <= std::min<std::uint64_t>(room, 1 + random_.below(3)); ++i) {
          append.terms.push_back(leader_.term_at(previous + i).value());
        }
      }
      const bool probing = progress_.state() == ProgressState::kProbe;
      const bool asking = asking_;
      asking_ = false;
      if (append.terms.empty() && !probing && !asking) break;
      progress_.on_sent(append.terms.size(), append.terms.size() * 3, Index(0));
      network_.emplace_back(std::move(append));
      if (probing || asking) break;
    }
    check();
  }

  void end_snapshot(bool arrived) {
    if (!snapshot_) return;
    progress_.on_snapshot_sent(progress_.transfer(),
                               arrived ? std::optional<Index>(snapshot_->index) : std::nullopt);
    snapshot_.reset();
    check();
  }

  void deliver(bool badly) {
    if (network_.empty()) return;
    const std::size_t at = badly ? random_.below(network_.size()) : 0;
    const Packet packet = network_[at];
    if (!badly || !random_.chance(1, 5)) {
      network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (badly && random_.chance(1, 5)) return;
    std::visit([this](const auto& body) { receive(body); }, packet);
  }

  void receive(const Append& append) {
    if (!follower_.has(append.previous) && append.previous.index >= follower_.base().index) {
      network_.emplace_back(Rejected{
          .previous = append.previous.index,
          .conflict = follower_.last_not_above(append.previous.index, append.previous.term)});
      return;
    }
    Index index = append.previous.index;
    for (const Term term : append.terms) {
      index = index.next();
      if (index <= follower_.base().index || follower_.has({.term = term, .index = index}))
        continue;
      if (index <= follower_.last().index) follower_.truncate_after(Index(index.value() - 1));
      follower_.append({.term = term, .index = index});
    }
    network_.emplace_back(Accepted{.match = index});
  }

  void receive(const Snap& snapshot) {
    if (snapshot.id.index > follower_.base().index && !follower_.has(snapshot.id)) {
      follower_.restore(snapshot.id);
    }
    network_.emplace_back(Accepted{.match = snapshot.id.index});
  }

  void receive(const Beat& /*beat*/) { network_.emplace_back(BeatAnswered{}); }

  void receive(const Accepted& answer) {
    const Index before = progress_.match();
    const bool news = progress_.on_accepted(answer.match, leader_.base().index);
    EXPECT_TRUE(news || progress_.match() == before);
    send();
  }

  void receive(const Rejected& answer) {
    const LogId hint = leader_.last_not_above(answer.conflict.index, answer.conflict.term);
    const Index before = progress_.next();
    const bool counts = progress_.on_rejected(answer.previous, hint.index);
    EXPECT_TRUE(counts ? progress_.next() < before : progress_.next() == before);
    send();
  }

  void receive(const BeatAnswered& /*answer*/) {
    progress_.on_heartbeat_answered();
    asking_ = true;
    send();
    asking_ = false;
  }

  void check() {
    ASSERT_GE(progress_.match(), match_) << "match shrank";
    match_ = progress_.match();
    ASSERT_LT(progress_.match(), progress_.next());
    ASSERT_LE(progress_.match(), follower_.last().index) << "believes in what is not there";
    ASSERT_EQ(progress_.inflights().recount_bytes(), progress_.inflights().bytes());
    for (Index index = std::max(leader_.base().index, follower_.base().index); index <= match_;
         index = index.next()) {
      ASSERT_EQ(follower_.term_at(index), leader_.term_at(index)) << index.value();
    }
  }

  Random random_;
  LogView leader_;
  LogView follower_;
  Progress progress_;
  Term term_;
  // Highest match() so far.
  Index match_;
  // Of the snapshot that is being sent.
  std::optional<LogId> snapshot_;
  // A heartbeat was answered: all may be lost, so one empty message is sent.
  bool asking_ = false;
  std::vector<Packet> network_;
};

TEST(ProgressLives, MatchIsTrueAndNeverShrinksAndTheFollowerCatchesUp) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace lignum::raft
