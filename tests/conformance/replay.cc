#include "tests/conformance/replay.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/types.h"
#include "tests/conformance/datadriven.h"
#include "tests/conformance/golden.h"
#include "tests/support/raft_host.h"
#include "tests/support/raft_world.h"
#include "tests/support/replica_log.h"
#include "tests/support/world_script.h"

namespace lignum::conformance {

namespace {

using world::Node;
using world::RaftHost;
using world::RaftWorld;

constexpr std::uint64_t kSeedsMax = 1'000;
constexpr std::uint64_t kTimeoutMax = 16;
constexpr std::size_t kTextShownMax = 20;

GoldenEntry golden(const Entry& entry) {
  const std::string text =
      entry.header.kind == EntryKind::kBatch ? world::text_of(entry) : std::string();
  const bool config = entry.header.kind == EntryKind::kMembership;
  return {.index = entry.header.index.value(),
          .term = entry.header.term.value() - kTermShift,
          .kind = config ? 'C' : (text.empty() ? '0' : 'N'),
          .text = text};
}

std::uint64_t id_of(const std::optional<ReplicaId>& replica) {
  return replica ? replica->node.value() : 0;
}

std::vector<std::uint64_t> ids_of(const std::vector<ReplicaId>& replicas) {
  std::vector<std::uint64_t> ids;
  for (const ReplicaId& replica : replicas) {
    ids.push_back(replica.node.value());
  }
  return ids;
}

char letter_of(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return 'F';
    case raft::Role::kPreCandidate:
      return 'P';
    case raft::Role::kCandidate:
      return 'C';
    case raft::Role::kLeader:
      return 'L';
  }
  CHECK(false);
}

std::string describe(char letter) { return {letter}; }
std::string describe(std::uint64_t value) { return std::to_string(value); }

template <class T>
std::string describe(const std::vector<T>& list) {
  std::string text;
  for (const T& element : list) {
    text += (text.empty() ? "" : " ") + describe(element);
  }
  return "[" + text + "]";
}

// Collects what differs of one node.
class Differences {
 public:
  explicit Differences(std::uint64_t node) : node_(node) {}

  template <class T>
  void add(std::string_view name, const T& ours, const T& golden) {
    if (ours != golden) {
      text_ += "\n  node " + std::to_string(node_) + ": " + std::string(name) + " is " +
               describe(ours) + ", there " + describe(golden);
    }
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::uint64_t node_;
  std::string text_;
};

// The kind of a configuration is compared, not its bytes: they are of another form.
std::vector<GoldenEntry> without_configurations(std::vector<GoldenEntry> entries) {
  for (GoldenEntry& entry : entries) {
    if (entry.kind == 'C') {
      entry.text.clear();
    }
  }
  return entries;
}

std::string compare_count(const RaftWorld& world, const GoldenDirective& golden) {
  const std::size_t ours = world.nodes().size();
  return ours == golden.nodes.size() ? "" : "\n  " + std::to_string(ours) + " nodes";
}

// "term/index Kind "text"" as `raft-log` prints it.
std::string printed(const GoldenEntry& entry) {
  return std::to_string(entry.term) + "/" + std::to_string(entry.index) + " " +
         (entry.kind == 'C' ? "EntryConfChange" : "EntryNormal \"" + entry.text + "\"");
}

std::string_view state_name(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "StateFollower";
    case raft::Role::kPreCandidate:
      return "StatePreCandidate";
    case raft::Role::kCandidate:
      return "StateCandidate";
    case raft::Role::kLeader:
      return "StateLeader";
  }
  CHECK(false);
}

std::string_view state_name(raft::ProgressState state) {
  switch (state) {
    case raft::ProgressState::kProbe:
      return "StateProbe";
    case raft::ProgressState::kReplicate:
      return "StateReplicate";
    case raft::ProgressState::kSnapshot:
      return "StateSnapshot";
  }
  CHECK(false);
}

std::string compare_lines(const std::vector<std::string>& ours,
                          const std::vector<std::string>& golden) {
  std::string text;
  for (std::size_t i = 0; i < std::max(ours.size(), golden.size()); ++i) {
    const std::string left = i < ours.size() ? ours[i] : "nothing";
    const std::string right = i < golden.size() ? golden[i] : "nothing";
    if (left != right) {
      text.append("\n  '").append(left).append("', there '").append(right).append("'");
    }
  }
  return text;
}

Node node_of(const Block& block) {
  Node node = 0;
  const std::string& text = block.arguments.at(0).key;
  std::from_chars(text.data(), text.data() + text.size(), node);
  return node;
}

// Ticks until `node` campaigns, which nobody disturbs.
std::uint64_t ticks_to_campaign(RaftWorld& world, Node node) {
  while (world.process_ready(node)) {
  }
  for (std::uint64_t ticks = 1; ticks < kTimeoutMax; ++ticks) {
    world.input(node, [](raft::Core& core) { core.tick(); });
    if (world.host(node).has_ready()) {
      return ticks;
    }
  }
  return kTimeoutMax;
}

}  // namespace

std::string describe(const GoldenEntry& entry) {
  return std::to_string(entry.term) + "/" + std::to_string(entry.index) + entry.kind +
         (entry.text.empty() ? "" : "'" + entry.text.substr(0, kTextShownMax) + "'");
}

std::vector<GoldenEntry> durable_entries_of(const RaftHost& host) {
  std::vector<GoldenEntry> entries;
  for (const Entry& entry : host.disk().entries()) {
    entries.push_back(golden(entry));
  }
  return entries;
}

std::vector<GoldenEntry> entries_of(const RaftHost& host) {
  std::vector<GoldenEntry> entries;
  for (const Entry& entry : host.log().entries()) {
    entries.push_back(golden(entry));
  }
  return entries;
}

std::string compare_state(RaftWorld& world, const GoldenDirective& golden) {
  std::string text = compare_count(world, golden);
  for (const GoldenNode& node : golden.nodes) {
    const RaftHost& host = world.host(static_cast<Node>(node.id));
    const raft::Core& core = host.core();
    Differences differences(node.id);
    differences.add("role", letter_of(core.role()), node.role);
    differences.add("term", core.term().value() - kTermShift, node.term);
    differences.add("vote", id_of(core.vote()), node.vote);
    differences.add("log", entries_of(host), without_configurations(node.log));
    text += differences.text();
  }
  return text;
}

std::string compare_settled(RaftWorld& world, const GoldenDirective& golden, LogStart start) {
  std::string text = compare_count(world, golden);
  for (const GoldenNode& node : golden.nodes) {
    const RaftHost& host = world.host(static_cast<Node>(node.id));
    const raft::Core& core = host.core();
    Differences differences(node.id);
    differences.add("role", letter_of(core.role()), node.role);
    differences.add("term", core.term().value() - kTermShift, node.term);
    differences.add("leader", id_of(core.leader()), node.lead);
    differences.add("commit", core.commit().value(), node.commit);
    std::vector<GoldenEntry> ours = entries_of(host);
    std::vector<GoldenEntry> theirs = without_configurations(node.log);
    if (start == LogStart::kAnywhere) {
      const std::uint64_t first = std::max(core.base().index.value() + 1, node.first);
      const auto early = [&](const GoldenEntry& entry) { return entry.index < first; };
      std::erase_if(ours, early);
      std::erase_if(theirs, early);
      differences.add("last index", core.last().index.value(),
                      node.log.empty() ? node.first - 1 : node.log.back().index);
    }
    differences.add("log", ours, theirs);
    differences.add("voters", ids_of(core.membership().voters), node.voters);
    differences.add("outgoing", ids_of(core.membership().outgoing), node.outgoing);
    differences.add("learners", ids_of(core.membership().learners), node.learners);
    text += differences.text();
  }
  return text;
}

std::string compare_raft_log(RaftWorld& world, const Block& block) {
  const RaftHost& host = world.host(node_of(block));
  std::vector<std::string> lines;
  for (const GoldenEntry& entry : durable_entries_of(host)) {
    lines.push_back(printed(entry));
  }
  if (lines.empty()) {
    const std::uint64_t base = host.disk().base().index.value();
    lines.push_back("log is empty: first index=" + std::to_string(base + 1) +
                    ", last index=" + std::to_string(base));
  }
  return compare_lines(lines, block.expected);
}

std::string compare_raft_state(RaftWorld& world, const Block& block) {
  std::vector<std::string> lines;
  for (const Node node : world.nodes()) {
    const raft::Core& core = world.host(node).core();
    lines.push_back(std::to_string(node) + ": " + std::string(state_name(core.role())) + " (" +
                    (core.membership().is_voter(core.self()) ? "Voter" : "Non-Voter") +
                    ") Term:" + std::to_string(core.term().value() - kTermShift) +
                    " Lead:" + std::to_string(id_of(core.leader())));
  }
  return compare_lines(lines, block.expected);
}

std::string compare_status(RaftWorld& world, const Block& block, StatusDetail detail) {
  const RaftHost& host = world.host(node_of(block));
  const auto line = [&](std::uint64_t node, std::string_view state, Index match, Index next) {
    return std::to_string(node) + ": " + std::string(state) +
           " match=" + std::to_string(match.value()) +
           (detail == StatusDetail::kFlow ? " next=" + std::to_string(next.value()) : "");
  };
  std::map<std::uint64_t, std::string> by_node;
  by_node[host.self().node.value()] = line(host.self().node.value(), "StateReplicate",
                                           host.core().durable(), host.core().durable().next());
  for (const raft::PeerStatus& peer : host.core().peers()) {
    by_node[peer.replica.node.value()] =
        line(peer.replica.node.value(), state_name(peer.state), peer.match, peer.next);
  }
  std::vector<std::string> ours;
  for (const auto& [node, text] : by_node) {
    ours.push_back(text);
  }
  std::vector<std::string> golden;
  for (const std::string& expected : block.expected) {
    const std::size_t next = expected.find(" next=");
    const std::size_t end = detail == StatusDetail::kFlow ? expected.find(' ', next + 1) : next;
    golden.push_back(expected.substr(0, end));
  }
  return compare_lines(ours, golden);
}

world::ScriptSettings oracle_settings(world::Taking taking) {
  return {.world = {.snapshot_reports = world::SnapshotReports::kNever,
                    .term_namers = world::TermNamers::kLeaveAtOnce},
          .pre_vote = false,
          .check_quorum = false,
          .election_ticks = 3,
          .first_term = Term(kTermShift),
          .refused_change = world::RefusedChange::kEmptyEntry,
          .early_change = world::EarlyChange::kAfterOwnEntry,
          .taking = taking,
          .seeds = {}};
}

std::map<Node, std::uint64_t> seeds_for(std::span<const Block> blocks, world::Taking taking) {
  std::map<Node, std::uint64_t> seeds;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].command != "set-randomized-election-timeout") {
      continue;
    }
    const Node node = node_of(blocks[i]);
    std::uint64_t wanted = 0;
    const std::string_view text = blocks[i].value("timeout").value_or("");
    std::from_chars(text.data(), text.data() + text.size(), wanted);
    for (std::uint64_t seed = 1;; ++seed) {
      CHECK(seed < kSeedsMax);
      world::ScriptSettings settings = oracle_settings(taking);
      settings.seeds = seeds;
      settings.seeds[node] = seed;
      world::WorldScript script(settings);
      for (const Block& block : blocks.subspan(0, i)) {
        script.run(block);
      }
      if (ticks_to_campaign(script.world(), node) == wanted) {
        seeds[node] = seed;
        break;
      }
    }
  }
  return seeds;
}

}  // namespace lignum::conformance
