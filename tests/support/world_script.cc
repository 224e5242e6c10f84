#include "tests/support/world_script.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/conformance/datadriven.h"
#include "tests/support/letter.h"
#include "tests/support/raft_host.h"
#include "tests/support/raft_text.h"
#include "tests/support/raft_world.h"
#include "tests/support/replica_log.h"

namespace lignum::world {

namespace {

using Block = conformance::Block;

// Of a line of an answer.
constexpr std::size_t kColumnsMax = 96;

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc() && end == text.data() + text.size());
  return value;
}

Node node_named(std::string_view text) { return static_cast<Node>(number(text)); }

std::optional<std::uint64_t> number_of(const Block& block, std::string_view key) {
  const auto value = block.value(key);
  return value ? std::optional(number(*value)) : std::nullopt;
}

bool flag_of(const Block& block, std::string_view key, bool otherwise) {
  const auto value = block.value(key);
  return value ? *value == "true" : otherwise;
}

std::vector<std::string_view> positions(const Block& block) {
  std::vector<std::string_view> result;
  for (const conformance::Argument& argument : block.arguments) {
    if (argument.values.empty()) {
      result.emplace_back(argument.key);
    }
  }
  return result;
}

Node first_node(const Block& block) { return node_named(positions(block).at(0)); }

// "term/index".
LogId log_id(std::string_view text) {
  const std::size_t slash = text.find('/');
  return {.term = Term(number(text.substr(0, slash))),
          .index = Index(number(text.substr(slash + 1)))};
}

// Empty batches of the terms that `log=` names, behind `previous`.
std::vector<Entry> entries_of(const Block& block, Index previous) {
  std::vector<Entry> entries;
  if (const conformance::Argument* terms = block.find("log")) {
    for (const std::string& term : terms->values) {
      previous = previous.next();
      Entry entry = text_entry("");
      entry.header.group = GroupIncarnation(1);
      entry.header.index = previous;
      entry.header.term = Term(number(term));
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

// The kind of message that `type=` names, in this project's words.
std::optional<std::string_view> kind_named(const Block& block) {
  const auto name = block.value("type");
  return name == "MsgApp" ? "AppendEntries" : name;
}

std::vector<std::string> refusal(const Error& error) {
  return {"refused: " + std::string(errc_name(error.code()))};
}

}  // namespace

WorldScript::WorldScript(ScriptSettings settings)
    : settings_(std::move(settings)), world_(settings_.world) {}

const std::map<std::string_view, WorldScript::Command>& WorldScript::commands() {
  static const std::map<std::string_view, Command> kCommands = {
      {"add-nodes", &WorldScript::add_nodes},
      {"crash", &WorldScript::crash},
      {"restart", &WorldScript::restart},
      {"wipe", &WorldScript::wipe},
      {"recover", &WorldScript::recover},
      {"campaign", &WorldScript::campaign},
      {"forget-leader", &WorldScript::forget_leader},
      {"tick", &WorldScript::tick},
      {"tick-heartbeat", &WorldScript::tick_heartbeat},
      {"tick-election", &WorldScript::tick_election},
      {"propose", &WorldScript::propose},
      {"propose-conf-change", &WorldScript::propose_change},
      {"process-ready", &WorldScript::process_ready},
      {"process-append-thread", &WorldScript::process_append},
      {"process-apply-thread", &WorldScript::process_apply},
      {"deliver-msgs", &WorldScript::deliver},
      {"replay", &WorldScript::replay},
      {"inject-append", &WorldScript::inject_append},
      {"inject-heartbeat", &WorldScript::inject_heartbeat},
      {"stabilize", &WorldScript::stabilize},
      {"run", &WorldScript::run_ticks},
      {"compact", &WorldScript::compact},
      {"transfer-leadership", &WorldScript::transfer},
      {"report-unreachable", &WorldScript::report_unreachable},
      {"send-snapshot", &WorldScript::send_snapshot},
      {"snapshot-answers", &WorldScript::snapshot_answers},
      {"answer-snapshot", &WorldScript::answer_snapshot},
      {"damage", &WorldScript::damage},
      {"cut", &WorldScript::cut},
      {"isolate", &WorldScript::isolate},
      {"heal", &WorldScript::heal},
      {"read", &WorldScript::read},
      {"raft-log", &WorldScript::raft_log},
      {"raft-state", &WorldScript::raft_state},
      {"status", &WorldScript::status},
      {"log-level", &WorldScript::log_level},
      {"set-randomized-election-timeout", &WorldScript::ignore},
  };
  return kCommands;
}

std::vector<std::string> WorldScript::run(const Block& block) {
  const auto command = commands().find(block.command);
  if (command == commands().end()) {
    return {"error: unknown command " + block.command};
  }
  Lines answer = (this->*command->second)(block);
  world_.check();
  Lines notes = world_.take_notes();
  if (!quiet_ && block.value("log-level") != "none") {
    answer.insert(answer.begin(), notes.begin(), notes.end());
  }
  for (const std::string& violation : world_.violations()) {
    answer.push_back("VIOLATION: " + violation);
  }
  return answer.empty() ? Lines{"ok"} : answer;
}

ReplicaId WorldScript::replica(std::string_view text) const {
  const std::size_t dot = text.find('.');
  const Node node = node_named(text.substr(0, dot));
  const auto found = incarnations_.find(node);
  const std::uint64_t known = found == incarnations_.end() ? 1 : found->second;
  return {.node = NodeId(node),
          .incarnation = NodeIncarnation(
              dot == std::string_view::npos ? known : number(text.substr(dot + 1)))};
}

std::vector<ReplicaId> WorldScript::replicas(const Block& block, std::string_view key) const {
  std::vector<ReplicaId> result;
  if (const conformance::Argument* argument = block.find(key)) {
    for (const std::string& value : argument->values) {
      result.push_back(replica(value));
    }
  }
  return result;
}

HostSettings WorldScript::host_settings(const Block& block, Node node) const {
  const auto seed = settings_.seeds.find(node);
  raft::Options options;
  options.election_ticks = settings_.election_ticks;
  options.heartbeat_ticks = 1;
  options.pre_vote = flag_of(block, "prevote", settings_.pre_vote);
  options.check_quorum = flag_of(block, "checkquorum", settings_.check_quorum);
  options.uncommitted_bytes_max = std::size_t{1} << 40;
  options.append_bytes_max = number_of(block, "append-bytes").value_or(std::size_t{1} << 40);
  options.inflight_bytes_max = std::size_t{1} << 40;
  options.inflight_messages_max = number_of(block, "inflight").value_or(1'000);
  options.seed = seed == settings_.seeds.end() ? node : seed->second;
  return {.self = replica(std::to_string(node)),
          .options = options,
          .storage = flag_of(block, "async-storage-writes", false) ? Storage::kAsynchronous
                                                                   : Storage::kSynchronous,
          .taking = settings_.taking};
}

ReplicaLog WorldScript::first_log(const Block& block) const {
  const Index index(number_of(block, "index").value_or(0));
  const raft::Membership membership{.voters = replicas(block, "voters"),
                                    .outgoing = {},
                                    .learners = replicas(block, "learners"),
                                    .learners_next = {},
                                    .auto_leave = false,
                                    .recovery = 0};
  const Term term(std::max(number_of(block, "term").value_or(0), settings_.first_term.value()));
  const LogId base = index.value() == 0 ? LogId{} : LogId{.term = Term(1), .index = index};
  ReplicaLog log(base, membership, {.term = std::max(term, base.term), .vote = std::nullopt});
  for (Entry& entry : entries_of(block, base.index)) {
    log.append(std::move(entry));
  }
  return log;
}

std::vector<Node> WorldScript::nodes_of(const Block& block) const {
  std::vector<Node> nodes;
  for (const std::string_view position : positions(block)) {
    nodes.push_back(node_named(position));
  }
  return nodes.empty() ? world_.nodes() : nodes;
}

WorldScript::Lines WorldScript::add_nodes(const Block& block) {
  const ReplicaLog log = first_log(block);
  for (std::uint64_t count = number(positions(block).at(0)); count > 0; --count) {
    const Node node = ++last_node_;
    world_.add(host_settings(block, node), log, log.base().index);
  }
  return {};
}

WorldScript::Lines WorldScript::crash(const Block& block) {
  for (const Node node : nodes_of(block)) {
    world_.crash(node);
  }
  return {};
}

WorldScript::Lines WorldScript::restart(const Block& block) {
  for (const std::string_view node : positions(block)) {
    world_.restart(node_named(node));
  }
  return {};
}

WorldScript::Lines WorldScript::wipe(const Block& block) {
  const Node node = first_node(block);
  world_.crash(node);
  std::uint64_t& incarnation = incarnations_.emplace(node, 1).first->second;
  ++incarnation;
  world_.add(host_settings(block, node), ReplicaLog({}, {}, {}), Index(0));
  return {};
}

WorldScript::Lines WorldScript::recover(const Block& block) {
  const auto plan = world_.recover(nodes_of(block));
  if (!plan) {
    return {"refused: " + plan.error().message()};
  }
  return {describe(plan->seed) + " appends " + describe(plan->entry) + " " +
          describe(plan->membership) + (plan->may_lose_acknowledged ? ", may lose" : "")};
}

WorldScript::Lines WorldScript::campaign(const Block& block) {
  world_.input(first_node(block), [](raft::Core& core) { core.campaign(); });
  return {};
}

WorldScript::Lines WorldScript::forget_leader(const Block& block) {
  world_.input(first_node(block), [](raft::Core& core) { core.forget_leader(); });
  return {};
}

void WorldScript::ticks(Node node, std::uint64_t times) {
  for (; times > 0; --times) {
    world_.input(node, [](raft::Core& core) { core.tick(); });
  }
}

WorldScript::Lines WorldScript::tick(const Block& block) {
  for (const Node node : nodes_of(block)) {
    ticks(node, number_of(block, "times").value_or(1));
  }
  return {};
}

WorldScript::Lines WorldScript::tick_heartbeat(const Block& block) {
  const Node node = first_node(block);
  ticks(node, world_.host(node).settings().options.heartbeat_ticks);
  return {};
}

WorldScript::Lines WorldScript::tick_election(const Block& block) {
  const Node node = first_node(block);
  ticks(node, world_.host(node).settings().options.election_ticks);
  return {};
}

WorldScript::Lines WorldScript::propose(const Block& block) {
  const auto outcome =
      world_.propose(first_node(block), {.what = std::string(positions(block).at(1))});
  return outcome ? Lines{} : refusal(outcome.error());
}

WorldScript::Lines WorldScript::propose_change(const Block& block) {
  Change change;
  change.leave = block.value("transition") == "explicit" ? raft::LeaveJoint::kExplicit
                                                         : raft::LeaveJoint::kAutomatic;
  for (std::string_view line : block.body) {
    while (!line.empty()) {
      const std::string_view word = line.substr(0, line.find(' '));
      line.remove_prefix(std::min(word.size() + 1, line.size()));
      const raft::MemberRole role = word.starts_with('v')   ? raft::MemberRole::kVoter
                                    : word.starts_with('l') ? raft::MemberRole::kLearner
                                                            : raft::MemberRole::kNone;
      change.changes.push_back({.replica = replica(word.substr(1)), .role = role});
    }
  }
  const Node node = first_node(block);
  const raft::Core& core = world_.host(node).core();
  if (settings_.early_change == EarlyChange::kAfterOwnEntry && core.role() == raft::Role::kLeader &&
      core.commit() < core.leadership_start()) {
    world_.process_ready(node);
  }
  const auto outcome = world_.propose(node, {.what = std::move(change)});
  if (outcome) {
    return {};
  }
  if (settings_.refused_change == RefusedChange::kEmptyEntry &&
      outcome.error().code() != Errc::kNotLeader) {
    CHECK(world_.propose(node, {.what = std::string()}).has_value());
  }
  return refusal(outcome.error());
}

WorldScript::Lines WorldScript::process_ready(const Block& block) {
  for (const Node node : nodes_of(block)) {
    world_.process_ready(node);
  }
  return {};
}

WorldScript::Lines WorldScript::process_append(const Block& block) {
  for (const Node node : nodes_of(block)) {
    world_.process_append(node);
  }
  return {};
}

WorldScript::Lines WorldScript::process_apply(const Block& block) {
  for (const Node node : nodes_of(block)) {
    world_.process_apply(node);
  }
  return {};
}

WorldScript::Lines WorldScript::deliver(const Block& block) {
  for (const std::string_view node : positions(block)) {
    world_.deliver(node_named(node), kind_named(block));
  }
  if (const conformance::Argument* dropped = block.find("drop")) {
    for (const std::string& node : dropped->values) {
      world_.drop(node_named(node), kind_named(block));
    }
  }
  return {};
}

WorldScript::Lines WorldScript::replay(const Block& block) {
  const bool found = world_.replay({.from = node_named(*block.value("from")),
                                    .to = node_named(*block.value("to")),
                                    .kind = *kind_named(block),
                                    .nth = number_of(block, "nth").value_or(1)});
  return found ? Lines{} : Lines{"error: no such message was sent"};
}

void WorldScript::inject(const Block& block, decltype(raft::Message::body) body) {
  const Node from = node_named(*block.value("from"));
  const Node to = node_named(*block.value("to"));
  const Letter* last = world_.last_sent(from, to);
  const auto* append =
      last == nullptr ? nullptr : std::get_if<raft::AppendEntries>(&last->message()->body);
  const raft::Session session = append == nullptr ? 1 : append->session;
  if (auto* forged = std::get_if<raft::AppendEntries>(&body)) {
    forged->session = session;
  } else {
    std::get<raft::Heartbeat>(body).session = session;
  }
  world_.input(to, [&](raft::Core& core) {
    core.step({.from = replica(*block.value("from")),
               .to = core.self(),
               .recovery = core.recovery(),
               .body = std::move(body)});
  });
}

WorldScript::Lines WorldScript::inject_append(const Block& block) {
  const LogId previous = log_id(*block.value("previous"));
  inject(block, raft::AppendEntries{.term = Term(number_of(block, "term").value_or(0)),
                                    .session = 0,
                                    .previous = previous,
                                    .commit = Index(number_of(block, "commit").value_or(0)),
                                    .entries = entries_of(block, previous.index)});
  return {};
}

WorldScript::Lines WorldScript::inject_heartbeat(const Block& block) {
  inject(block, raft::Heartbeat{.term = Term(number_of(block, "term").value_or(0)),
                                .session = 0,
                                .commit = Index(number_of(block, "commit").value_or(0)),
                                .read_sequence = 0});
  return {};
}

WorldScript::Lines WorldScript::stabilize(const Block& block) {
  world_.stabilize(nodes_of(block));
  return {};
}

WorldScript::Lines WorldScript::run_ticks(const Block& block) {
  const std::vector<Node> nodes = nodes_of(block);
  for (std::uint64_t left = number_of(block, "ticks").value_or(1); left > 0; --left) {
    for (const Node node : nodes) {
      ticks(node, 1);
    }
    world_.stabilize(nodes);
  }
  return {};
}

WorldScript::Lines WorldScript::compact(const Block& block) {
  world_.host(first_node(block)).compact(Index(number(positions(block).at(1))));
  return {};
}

WorldScript::Lines WorldScript::transfer(const Block& block) {
  const ReplicaId to = replica(*block.value("to"));
  Result<void> outcome;
  world_.input(node_named(*block.value("from")),
               [&](raft::Core& core) { outcome = core.transfer_leadership(to); });
  return outcome ? Lines{} : refusal(outcome.error());
}

WorldScript::Lines WorldScript::report_unreachable(const Block& block) {
  const ReplicaId peer = replica(positions(block).at(1));
  world_.input(first_node(block), [&](raft::Core& core) { core.on_unreachable(peer); });
  return {};
}

WorldScript::Lines WorldScript::send_snapshot(const Block& block) {
  const Node from = first_node(block);
  const Node to = node_named(positions(block).at(1));
  const Letter* last = world_.last_sent(from, to);
  const auto* append =
      last == nullptr ? nullptr : std::get_if<raft::AppendEntries>(&last->message()->body);
  if (append == nullptr) {
    return {"error: the last message sent there names no session"};
  }
  const RaftHost& host = world_.host(from);
  raft::InstallSnapshot body{
      .term = host.core().term(), .session = append->session, .snapshot = host.snapshot()};
  const ReplicaId receiver = last->to;
  world_.post({.from = host.self(),
               .to = receiver,
               .body = raft::Message{.from = host.self(),
                                     .to = receiver,
                                     .recovery = host.core().recovery(),
                                     .body = std::move(body)},
               .request = {}});
  return {};
}

WorldScript::Lines WorldScript::snapshot_answers(const Block& block) {
  world_.report_snapshots(positions(block).at(0) == "by-hand" ? SnapshotReports::kNever
                                                              : SnapshotReports::kMade);
  return {};
}

WorldScript::Lines WorldScript::answer_snapshot(const Block& block) {
  const bool found = world_.answer_snapshot({.from = node_named(*block.value("from")),
                                             .to = node_named(*block.value("to")),
                                             .kind = {},
                                             .nth = number_of(block, "nth").value_or(1)},
                                            !flag_of(block, "lost", false));
  return found ? Lines{} : Lines{"error: so many snapshots were not asked for"};
}

WorldScript::Lines WorldScript::damage(const Block& block) {
  const Index from(number_of(block, "from").value_or(1));
  world_.input(first_node(block), [&](raft::Core& core) { core.on_damaged(from); });
  return {};
}

WorldScript::Lines WorldScript::cut(const Block& block) {
  const std::vector<Node> nodes = nodes_of(block);
  for (const Node other : nodes) {
    if (other != nodes.front()) {
      world_.cut(nodes.front(), other);
      world_.cut(other, nodes.front());
    }
  }
  return {};
}

WorldScript::Lines WorldScript::isolate(const Block& block) {
  const std::vector<Node> island = nodes_of(block);
  for (const Node inside : island) {
    for (const Node outside : world_.nodes()) {
      if (std::ranges::find(island, outside) == island.end()) {
        world_.cut(inside, outside);
        world_.cut(outside, inside);
      }
    }
  }
  return {};
}

WorldScript::Lines WorldScript::heal(const Block& /*block*/) {
  world_.heal();
  return {};
}

WorldScript::Lines WorldScript::read(const Block& block) {
  Result<std::uint64_t> outcome = 0;
  world_.input(first_node(block), [&](raft::Core& core) { outcome = core.read_index(); });
  return outcome ? Lines{} : refusal(outcome.error());
}

WorldScript::Lines WorldScript::raft_log(const Block& block) {
  Lines lines;
  for (const Node node : nodes_of(block)) {
    const RaftHost& host = world_.host(node);
    const ReplicaLog& disk = host.disk();
    std::vector<std::string> words;
    if (disk.base().index.value() > 0) {
      words.push_back("behind " + describe(disk.base()));
    }
    for (const Entry& entry : disk.entries()) {
      words.push_back(describe(entry));
    }
    std::string line = describe(host.self()) + ":";
    for (const std::string& word : words) {
      if (line.size() + word.size() + 2 > kColumnsMax) {
        lines.push_back(std::exchange(line, std::string("   ")));
      }
      line += (line.ends_with(':') || line.ends_with("   ") ? " " : ", ") + word;
    }
    lines.push_back(words.empty() ? line + " empty" : std::move(line));
  }
  return lines;
}

WorldScript::Lines WorldScript::raft_state(const Block& /*block*/) {
  Lines lines;
  for (const Node node : world_.nodes()) {
    const raft::Core& core = world_.host(node).core();
    std::string line = describe(core.self()) + ": " + std::string(describe(core.role())) +
                       " term=" + std::to_string(core.term().value()) +
                       " leader=" + describe(core.leader()) + " last=" + describe(core.last()) +
                       " commit=" + std::to_string(core.commit().value()) + " " +
                       describe(core.membership());
    if (core.durable() < core.last().index) {
      line += " durable=" + std::to_string(core.durable().value());
    }
    if (core.damaged()) {
      line += " damaged";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

WorldScript::Lines WorldScript::status(const Block& block) {
  Lines lines;
  for (const raft::PeerStatus& peer : world_.host(first_node(block)).core().peers()) {
    lines.push_back(describe(peer.replica) + ": " + std::string(describe(peer.state)) +
                    " match=" + std::to_string(peer.match.value()) +
                    " next=" + std::to_string(peer.next.value()));
  }
  return lines;
}

WorldScript::Lines WorldScript::log_level(const Block& block) {
  const std::string_view level = positions(block).at(0);
  quiet_ = level == "none";
  world_.tell_messages(level == "debug");
  return {};
}

WorldScript::Lines WorldScript::ignore(const Block& /*block*/) { return {}; }

}  // namespace lignum::world
