#include "jepsen/sim/faults.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/node_files.h"
#include "jepsen/sim/partitions.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/sim_pools.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/world.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/random.h"
#include "storage/data_layout.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"
#include "storage/image_transfer.h"
#include "storage/manifest.h"

namespace lignum::jepsen {

namespace {

// At most.
constexpr Moment kReplaceEvery = 3'000'000;

}  // namespace

struct Faults::Kind {
  std::string_view name;
  Moment FaultPlan::* mean;
  void (Faults::*strike)(SimNode& node);
};

const std::vector<Faults::Kind>& Faults::kinds() {
  static const std::vector<Kind> kKinds = {
      {.name = "power cut", .mean = &FaultPlan::power_cut, .strike = &Faults::cut_power},
      {.name = "power cut in a disk call",
       .mean = &FaultPlan::power_cut_in_call,
       .strike = &Faults::cut_power_in_call},
      {.name = "process killed", .mean = &FaultPlan::kill, .strike = &Faults::kill},
      {.name = "shutdown", .mean = &FaultPlan::stop, .strike = &Faults::stop},
      {.name = "pause", .mean = &FaultPlan::pause, .strike = &Faults::pause},
      {.name = "leader deposed", .mean = &FaultPlan::depose, .strike = &Faults::depose},
      {.name = "members changed", .mean = &FaultPlan::members, .strike = &Faults::change_members},
      {.name = "leadership handed over", .mean = &FaultPlan::transfer, .strike = &Faults::transfer},
      {.name = "slow disk", .mean = &FaultPlan::slow_disk, .strike = &Faults::slow_disk},
      {.name = "disk error", .mean = &FaultPlan::disk_error, .strike = &Faults::disk_error},
      {.name = "disk full", .mean = &FaultPlan::disk_full, .strike = &Faults::disk_full},
      {.name = "wall clock jumped", .mean = &FaultPlan::clock_jump, .strike = &Faults::jump_clock},
      {.name = "clock drift", .mean = &FaultPlan::clock_drift, .strike = &Faults::drift_clock},
      {.name = "partition", .mean = &FaultPlan::partition, .strike = &Faults::partition},
      {.name = "link clogged", .mean = &FaultPlan::clog, .strike = &Faults::clog},
      {.name = "damage at rest", .mean = &FaultPlan::damage, .strike = &Faults::damage},
      {.name = "disk wiped", .mean = &FaultPlan::wipe, .strike = &Faults::wipe},
      {.name = "file damaged", .mean = &FaultPlan::files, .strike = &Faults::damage_files}};
  return kKinds;
}

Faults::Faults(World& world, SimNetwork& network, std::vector<SimNode*> nodes,
               const FaultPlan& plan)
    : world_(world),
      network_(network),
      nodes_(std::move(nodes)),
      plan_(plan),
      losses_(nodes_),
      churn_(world, nodes_, losses_),
      damage_(nodes_, {.beyond = plan.beyond, .unproven = plan.unproven, .images = plan.images}),
      random_(world.stream("faults")),
      restarts_(world.stream("restarts")),
      recoveries_(world.stream("recoveries")),
      replacements_(world.stream("replacements")) {
  for (const Kind& kind : kinds()) schedules_.push_back(world.stream(kind.name));
}

void Faults::begin() {
  striking_ = true;
  for (std::size_t kind = 0; kind < kinds().size(); ++kind) plan_next(kind, 0);
  if (plan_.wipe > 0) replace_lost();
}

void Faults::plan_next(std::size_t kind, std::uint64_t number) {
  const Moment mean = plan_.*kinds()[kind].mean;
  if (mean == 0) return;
  const Moment pause = draw_between(schedules_[kind], mean / 2, mean + mean / 2);
  world_.queue.after(pause, [this, kind, number] {
    if (!striking_) return;
    strike({.kind = kind, .number = number});
    plan_next(kind, number + 1);
  });
}

void Faults::strike(StrikeId id) {
  if (plan_.only && !plan_.only->contains(id)) return;
  const Kind& kind = kinds()[id.kind];
  random_ = Random(world_.seed() + (id.number << 8U), kind.name);
  SimNode& node = *nodes_[random_.below(nodes_.size())];
  struck_.push_back({.id = id, .what = kind.name, .at = world_.now(), .node = node.number()});
  world_.tell(TraceKind::kFault, node.number(), id.kind, id.number,
              [&kind] { return std::string(kind.name); });
  (this->*kind.strike)(node);
}

void Faults::end(std::size_t held) {
  striking_ = false;
  network_.heal();
  CHECK(plan_.wipe == 0 || held == 0);
  if (plan_.changes_members()) churn_.restore();
  while (held_.size() < held) held_.insert(static_cast<HostNumber>(random_.below(nodes_.size())));
  for (SimNode* node : nodes_) {
    if (held_.contains(node->number())) {
      if (node->state() != SimNode::State::kDown) node->power_cut(draw_image());
      continue;
    }
    node->resume();
    node->set_pace({});
    node->clock().set_drift(0, world_.now());
    node->disk().clear_faults();
    node->disk().set_capacity(std::uint64_t{1} << 40);
    if (node->state() == SimNode::State::kDown) node->start();
  }
}

void Faults::release() {
  for (const HostNumber number : std::exchange(held_, {})) {
    SimNode& node = *nodes_.at(number);
    node.set_pace({});
    node.clock().set_drift(0, world_.now());
    node.disk().set_capacity(std::uint64_t{1} << 40);
    if (node.state() == SimNode::State::kDown) node.start();
  }
}

Moment Faults::draw_span(Random& random) const {
  return draw_between(random, plan_.lasts_least, plan_.lasts_most);
}

CrashImage Faults::draw_image() {
  constexpr std::array kSurvivals = {Survival::kNone, Survival::kAll, Survival::kRandom,
                                     Survival::kRandom};
  return {.data = kSurvivals.at(random_.below(kSurvivals.size())),
          .names = kSurvivals.at(random_.below(kSurvivals.size())),
          .tear_last_sector = random_.chance(1, 3)};
}

void Faults::restart_later(SimNode& node) {
  const Moment wait = striking_ ? draw_span(restarts_) : Moment{1000};
  world_.queue.after(wait, [this, &node] {
    if (node.state() != SimNode::State::kDown || held_.contains(node.number())) return;
    const bool loses = striking_ && draw_chance(restarts_, plan_.lose_state_rate);
    if (loses && !stores_kept_.contains(node.number())) {
      ++world_.faults["state store lost"];
      node.lose_state_store();
    }
    if (striking_ && draw_chance(restarts_, plan_.crash_in_recovery_rate)) {
      ++world_.faults["power cut in recovery"];
      node.disk().crash_at(node.disk().operations() + 1 + restarts_.below(60));
    }
    if (striking_) fail_while_starting(node);
    if (ends_struck_.erase(node.number()) > 0 && striking_) {
      strike_end(node, recoveries_);
    }
    node.start();
  });
}

void Faults::strike_end(SimNode& node, Random& random) {
  const std::string_view what = damage_.strike_end(node, random);
  if (what.empty()) return;
  ++world_.faults[what];
  stores_kept_.insert(node.number());
}

void Faults::fail_while_starting(SimNode& node) {
  if (!draw_chance(recoveries_, plan_.error_in_recovery_rate)) return;
  ++world_.faults["disk error in recovery"];
  node.disk().fail(draw_disk_fault(recoveries_, 100));
}

void Faults::cut_power(SimNode& node) {
  if (node.state() == SimNode::State::kDown) return;
  ++world_.faults["power cut"];
  node.power_cut(draw_image());
  restart_later(node);
}

void Faults::cut_power_in_call(SimNode& node) {
  if (node.state() == SimNode::State::kDown || node.disk().crashed()) return;
  ++world_.faults["power cut in a disk call"];
  node.disk().crash_at(node.disk().operations() + 1 + random_.below(40));
}

void Faults::kill(SimNode& node) {
  if (node.state() == SimNode::State::kDown) return;
  ++world_.faults["process killed"];
  node.kill();
  restart_later(node);
}

void Faults::stop(SimNode& node) {
  if (node.state() != SimNode::State::kServing || node.paused()) return;
  ++world_.faults["shutdown"];
  node.stop();
}

void Faults::pause(SimNode& node) {
  if (node.state() == SimNode::State::kDown || node.paused()) return;
  ++world_.faults["pause"];
  node.pause();
  world_.queue.after(draw_span(), [&node] { node.resume(); });
}

void Faults::depose(SimNode& /*node*/) {
  SimNode* const leader = churn_.draw_leader(random_);
  if (leader == nullptr) return;
  ++world_.faults["leader deposed"];
  const auto nodes = static_cast<HostNumber>(nodes_.size());
  std::vector<CutLink> cuts;
  for (HostNumber other = 0; other < nodes; ++other) {
    if (other == leader->number()) continue;
    cuts.push_back({.from = leader->number(), .to = other});
    cuts.push_back({.from = other, .to = leader->number()});
  }
  for (const CutLink& cut : cuts) network_.link(cut.from, cut.to).cut = true;
  // A change that will have to be taken back.
  if (plan_.members > 0 && random_.chance(1, 2)) (void)churn_.change(random_, leader);
  world_.queue.after(draw_span(), [this, cuts, deposed = leader->number()] {
    for (const CutLink& cut : cuts) network_.link(cut.from, cut.to).cut = false;
    SimNode* const next = striking_ ? churn_.draw_leader(random_) : nullptr;
    if (next != nullptr && next->number() != deposed) cut_power(*next);
  });
}

void Faults::change_members(SimNode& /*node*/) {
  SimNode* const leader = churn_.change(random_);
  if (random_.chance(1, 8)) churn_.ask_for_the_impossible(random_);
  if (leader == nullptr || !random_.chance(1, 2)) return;
  // In the middle of it.
  world_.queue.after(draw_between(random_, 0, 100'000), [this, leader] {
    if (striking_) cut_power(*leader);
  });
}

void Faults::transfer(SimNode& /*node*/) { churn_.transfer(random_); }

void Faults::slow_disk(SimNode& node) {
  ++world_.faults["slow disk"];
  DiskPace pace;
  pace.least = draw_between(random_, 500, 20'000);
  // Also longer than an election takes.
  pace.most = pace.least + draw_between(random_, 0, random_.chance(1, 3) ? 2'000'000 : 200'000);
  node.set_pace(pace);
  world_.queue.after(draw_span(), [this, &node] {
    if (striking_) node.set_pace(plan_.pace);
  });
}

DiskFault Faults::draw_disk_fault(Random& random, std::uint64_t calls_most) const {
  constexpr std::array kOps = {DiskOp::kWrite,        DiskOp::kSync,          DiskOp::kAnyChange,
                               DiskOp::kRead,         DiskOp::kOpen,          DiskOp::kLook,
                               DiskOp::kRead,         DiskOp::kCreate,        DiskOp::kRename,
                               DiskOp::kRemove,       DiskOp::kSyncDirectory, DiskOp::kResize,
                               DiskOp::kMakeDirectory};
  constexpr std::array kFiles = {storage::kIdentityFileName,    storage::kHardStateFileName,
                                 storage::kImagesDirectoryName, storage::kImagePartName,
                                 storage::kManifestName,        ".seg"};
  DiskFault fault{.op = kOps.at(random.below(kOps.size())), .error = Errc::kIo};
  const std::string_view part = random.chance(1, 2) ? kFiles.at(random.below(kFiles.size())) : "";
  fault.path_part = plan_.disk_error_part.empty() ? part : plan_.disk_error_part;
  if (!fault.path_part.empty()) calls_most = random.chance(1, 2) ? 2 : 8;
  fault.nth = 1 + random.below(calls_most);
  return fault;
}

void Faults::disk_error(SimNode& node) {
  if (node.state() != SimNode::State::kServing) return;
  ++world_.faults["disk error"];
  node.disk().fail(draw_disk_fault(random_, 8));
}

void Faults::disk_full(SimNode& node) {
  ++world_.faults["disk full"];
  node.disk().set_capacity(node.disk().used_bytes() + random_.below(std::uint64_t{256} << 10));
  world_.queue.after(draw_span(), [&node] { node.disk().set_capacity(std::uint64_t{1} << 40); });
}

void Faults::damage(SimNode& node) {
  // Half of it is found by a start, the rest by whoever reads.
  const bool up = node.state() != SimNode::State::kDown;
  const bool cut = up && random_.chance(1, 2);
  if (cut) node.power_cut(draw_image());
  const auto strikes = 1 + random_.below(3);
  for (std::uint64_t i = 0; i < strikes; ++i) {
    const std::string_view what = damage_.strike(node, random_);
    if (!what.empty()) ++world_.faults[what];
  }
  if (cut) restart_later(node);
}

void Faults::damage_files(SimNode& node) {
  const SimNode& other = *nodes_[random_.below(nodes_.size())];
  // Who needs a leader must not be needed for electing one.
  const bool all = plan_.images && plan_.members == 0;
  const bool end = plan_.damage > 0 && all && random_.chance(1, 3);
  // An image that a shutdown leaves proves more than one of a while ago.
  if (end && node.state() == SimNode::State::kServing && !node.paused()) {
    ends_struck_.insert(node.number());
    return node.stop();
  }
  const bool up = node.state() != SimNode::State::kDown;
  const bool cut = up && random_.chance(1, 2);
  if (cut) node.power_cut(draw_image());
  if (end) {
    strike_end(node, random_);
    if (cut) restart_later(node);
    return;
  }
  const bool beyond = plan_.beyond && random_.chance(1, 2);
  const std::string_view what = beyond         ? strike_beyond(node, other, random_)
                                : plan_.beyond ? strike_kept_twice(node, random_)
                                               : strike_node_file(node, random_);
  if (!what.empty()) ++world_.faults[what];
  if (cut) restart_later(node);
}

void Faults::wipe(SimNode& node) {
  if (!losses_.may_lose(node)) return;
  ++world_.faults["disk wiped"];
  const bool up = node.state() != SimNode::State::kDown;
  node.wipe(plan_.comeback);
  if (up) restart_later(node);
}

void Faults::replace_lost() {
  world_.queue.after(draw_between(replacements_, 0, kReplaceEvery), [this] {
    if (!striking_) return;
    churn_.replace_lost(replacements_);
    replace_lost();
  });
}

void Faults::jump_clock(SimNode& node) {
  ++world_.faults["wall clock jumped"];
  // 10 ms to about five minutes, either way.
  const Moment reach = Moment{10'000} << random_.below(15);
  node.clock().jump_wall(draw_between(random_, -reach, reach));
}

void Faults::drift_clock(SimNode& node) {
  ++world_.faults["clock drift"];
  // From a fifth to five times the true rate.
  const bool slow = random_.chance(1, 2);
  node.clock().set_drift(slow ? -static_cast<std::int64_t>(random_.below(800'000))
                              : static_cast<std::int64_t>(random_.below(4'000'000)),
                         world_.now());
}

void Faults::partition(SimNode& node) {
  ++world_.faults["partition"];
  const auto nodes = static_cast<HostNumber>(nodes_.size());
  const std::vector<CutLink> cuts =
      draw_partition(random_, node.number(), nodes, static_cast<HostNumber>(network_.hosts()));
  for (const CutLink& cut : cuts) network_.link(cut.from, cut.to).cut = true;
  world_.queue.after(draw_span(), [this, cuts] {
    for (const CutLink& cut : cuts) network_.link(cut.from, cut.to).cut = false;
  });
}

void Faults::clog(SimNode& node) {
  ++world_.faults["link clogged"];
  const auto other = static_cast<HostNumber>(random_.below(network_.hosts()));
  const bool out = random_.chance(1, 2);
  Link& link = out ? network_.link(node.number(), other) : network_.link(other, node.number());
  link.clogged_until = world_.now() + draw_span();
}

}  // namespace lignum::jepsen
