// The oracle's cases of changes of membership: `simple`, `enter-joint [autoleave=true]` with
// changes such as "v1 l2 r3 u4" (voter, learner, remove, update), and `leave-joint`. Each file is
// the life of one configuration. Compared are the configuration, who is followed and as what, and
// whether the change is refused.

#include <gtest/gtest.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "raft/error.h"
#include "raft/membership.h"
#include "raft/types.h"
#include "tests/conformance/datadriven.h"
#include "tests/conformance/oracle.h"

namespace lignum::conformance {
namespace {

using raft::LeaveJoint;
using raft::MemberChange;
using raft::MemberRole;
using raft::Membership;

constexpr std::size_t kCases = 58;

// The number that `text` begins with.
ReplicaId replica_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  EXPECT_EQ(parsed.ec, std::errc()) << text;
  return {.node = NodeId(number), .incarnation = NodeIncarnation(1)};
}

std::vector<MemberChange> changes_of(const Block& block) {
  std::vector<MemberChange> changes;
  for (const std::string& line : block.body) {
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const ReplicaId replica = replica_of(std::string_view(word).substr(1));
      // Node 0 is nobody, and an update (u) changes what is not Raft's.
      if (replica.node == NodeId(0) || word.front() == 'u') continue;
      const MemberRole role = word.front() == 'v'   ? MemberRole::kVoter
                              : word.front() == 'l' ? MemberRole::kLearner
                                                    : MemberRole::kNone;
      changes.push_back({.replica = replica, .role = role});
    }
  }
  return changes;
}

// What stands in the parentheses after `name`, which is at the start of a word.
std::vector<ReplicaId> list_after(std::string_view text, std::string_view name) {
  std::vector<ReplicaId> replicas;
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return replicas;
  const std::size_t open = at + name.size();
  std::istringstream words{std::string(text.substr(open, text.find(')', open) - open))};
  for (std::string word; words >> word;) replicas.push_back(replica_of(word));
  return replicas;
}

// "voters=(1 2)&&(3) learners=(4) learners_next=(1) autoleave"; none for the text of an error.
std::optional<Membership> membership_of(const Block& block) {
  const std::string_view line = block.expected.empty() ? std::string_view() : block.expected[0];
  if (!line.starts_with("voters=(")) return std::nullopt;
  return Membership{.voters = list_after(line, "voters=("),
                    .outgoing = list_after(line, ")&&("),
                    .learners = list_after(line, " learners=("),
                    .learners_next = list_after(line, " learners_next=("),
                    .auto_leave = line.ends_with(" autoleave")};
}

// One line for each member: "1: StateProbe match=0 next=1 learner".
void expect_followed(const Block& block, const Membership& membership) {
  std::vector<ReplicaId> followed;
  for (std::size_t i = 1; i < block.expected.size(); ++i) {
    const std::string& line = block.expected[i];
    followed.push_back(replica_of(line));
    EXPECT_EQ(membership.is_learner(followed.back()), line.ends_with(" learner")) << line;
  }
  EXPECT_EQ(membership.members(), followed);
}

Result<Membership> change(const Membership& current, const Block& block) {
  if (block.command == "leave-joint") return leave_joint(current);
  if (block.command == "simple") return change_simply(current, changes_of(block));
  EXPECT_EQ(block.command, "enter-joint");
  const bool automatic = block.value("autoleave") == "true";
  return enter_joint(current, changes_of(block),
                     automatic ? LeaveJoint::kAutomatic : LeaveJoint::kExplicit);
}

void run_case(Membership& current, const Block& block) {
  const Result<Membership> next = change(current, block);
  const std::optional<Membership> wanted = membership_of(block);
  ASSERT_EQ(next.has_value(), wanted.has_value())
      << (next ? "not refused" : next.error().message());
  if (!next) {
    EXPECT_EQ(next.error().code(), Errc::kInvalidArgument);
    return;
  }
  EXPECT_EQ(*next, *wanted);
  expect_followed(block, *next);
  current = *next;
}

TEST(OracleConfchange, EveryChangeLeadsToTheSameConfiguration) {
  const auto directory = oracle_directory();
  if (!directory) GTEST_SKIP() << kOracleAbsent;
  const auto files = read_oracle_files(*directory / "etcd-confchange");
  ASSERT_TRUE(files) << files.error().message();
  std::size_t cases = 0;
  for (const OracleFile& file : *files) {
    Membership current;
    for (const Block& block : file.blocks) {
      SCOPED_TRACE(block.place);
      run_case(current, block);
      if (::testing::Test::HasFailure()) return;
      ++cases;
    }
  }
  std::cout << "confchange: " << cases << " of " << kCases << " cases are equal\n";
  EXPECT_EQ(cases, kCases);
}

}  // namespace
}  // namespace lignum::conformance
