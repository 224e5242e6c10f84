// The oracle's cases of committed indexes and votes: `committed cfg=(1,2) [cfgj=(2)] idx=(5,_)`,
// `vote cfg=(1,2) [cfgj=zero] votes=(y,_)`. A replica in both sets is named once.

#include <gtest/gtest.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/membership.h"
#include "raft/quorum.h"
#include "raft/types.h"
#include "tests/conformance/datadriven.h"
#include "tests/conformance/oracle.h"

namespace lignum::conformance {
namespace {

using raft::Membership;
using raft::VoteResult;

constexpr std::size_t kCases = 127;

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

std::vector<std::string> values_of(const Block& block, std::string_view key) {
  const Argument* argument = block.find(key);
  return argument == nullptr ? std::vector<std::string>() : argument->values;
}

// `zero`, which is no number, stands for the empty set.
std::vector<ReplicaId> voters_of(const Block& block, std::string_view key) {
  std::vector<ReplicaId> voters;
  for (const std::string& value : values_of(block, key)) {
    const auto number = number_of(value);
    if (!number) continue;
    voters.push_back(
        {.node = NodeId(static_cast<std::uint32_t>(*number)), .incarnation = NodeIncarnation(1)});
  }
  return voters;
}

// What the replicas of both sets answered, in the order in which they are first named; `_` is
// nothing.
std::map<ReplicaId, std::string> answers_of(const Membership& sets,
                                            const std::vector<std::string>& values) {
  std::map<ReplicaId, std::string> answers;
  std::size_t next = 0;
  for (const auto* set : {&sets.voters, &sets.outgoing}) {
    for (const ReplicaId& replica : *set) {
      if (answers.contains(replica) || next == values.size()) continue;
      answers[replica] = values[next++];
    }
  }
  EXPECT_EQ(next, values.size()) << "more answers than replicas";
  std::erase_if(answers, [](const auto& answer) { return answer.second == "_"; });
  return answers;
}

// The last line, but for what an empty set says of itself.
std::string_view verdict_of(const Block& block) {
  std::string_view line = block.expected.empty() ? std::string_view() : block.expected.back();
  return line.ends_with("∞") ? std::string_view("∞") : line;
}

Membership swapped(const Membership& sets) {
  return {.voters = sets.outgoing, .outgoing = sets.voters};
}

void run_committed(const Block& block, const Membership& sets) {
  const auto answers = answers_of(sets, values_of(block, "idx"));
  const auto match = [&](const ReplicaId& replica) -> std::optional<Index> {
    const auto found = answers.find(replica);
    if (found == answers.end()) return std::nullopt;
    return Index(number_of(found->second).value());
  };
  const std::string_view verdict = verdict_of(block);
  const Index wanted = verdict == "∞" ? raft::kEverything : Index(number_of(verdict).value());
  EXPECT_EQ(raft::committed_index(sets, match), wanted);
  EXPECT_EQ(raft::committed_index(swapped(sets), match), wanted);
  if (!sets.joint()) EXPECT_EQ(raft::committed_index(sets.voters, match), wanted);
}

std::string_view name_of(VoteResult result) {
  switch (result) {
    case VoteResult::kPending:
      return "VotePending";
    case VoteResult::kWon:
      return "VoteWon";
    case VoteResult::kLost:
      return "VoteLost";
  }
  std::unreachable();
}

void run_vote(const Block& block, const Membership& sets) {
  const auto answers = answers_of(sets, values_of(block, "votes"));
  const auto vote = [&](const ReplicaId& replica) -> std::optional<bool> {
    const auto found = answers.find(replica);
    return found == answers.end() ? std::nullopt : std::optional(found->second == "y");
  };
  const std::string_view wanted = verdict_of(block);
  EXPECT_EQ(name_of(raft::vote_result(sets, vote)), wanted);
  EXPECT_EQ(name_of(raft::vote_result(swapped(sets), vote)), wanted);
  if (!sets.joint()) EXPECT_EQ(name_of(raft::vote_result(sets.voters, vote)), wanted);
}

TEST(OracleQuorum, EveryCaseIsDecidedAlike) {
  const auto directory = oracle_directory();
  if (!directory) GTEST_SKIP() << kOracleAbsent;
  const auto files = read_oracle_files(*directory / "etcd-quorum");
  ASSERT_TRUE(files) << files.error().message();
  std::size_t cases = 0;
  for (const OracleFile& file : *files) {
    for (const Block& block : file.blocks) {
      SCOPED_TRACE(block.place);
      const Membership sets{.voters = voters_of(block, "cfg"),
                            .outgoing = voters_of(block, "cfgj")};
      if (block.command == "committed") {
        run_committed(block, sets);
      } else {
        ASSERT_EQ(block.command, "vote");
        run_vote(block, sets);
      }
      if (::testing::Test::HasFailure()) return;
      ++cases;
    }
  }
  std::cout << "quorum: " << cases << " of " << kCases << " cases are equal\n";
  EXPECT_EQ(cases, kCases);
}

}  // namespace
}  // namespace lignum::conformance
