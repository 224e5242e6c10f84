#include "jepsen/sim/run_plan.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include "jepsen/sim/faults.h"
#include "jepsen/sim/link.h"
#include "jepsen/sim/rare_paths.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/sim_pools.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "net/snapshot_messages.h"
#include "raft/options.h"
#include "raft/random.h"
#include "storage/compression.h"
#include "storage/data_layout.h"
#include "storage/frame_format.h"
#include "storage/hard_state_file.h"
#include "storage/image_transfer.h"
#include "storage/manifest.h"
#include "storage/segmented_log.h"

namespace lignum::jepsen {

namespace {

using net::kMillisecond;
using net::kSecond;

constexpr std::uint32_t kSmallBurstMax = 8;
constexpr std::size_t kSegmentBytesLeast = std::size_t{68} << 10;

// One of the values.
template <std::size_t n, class T>
T pick(Random& random, const std::array<T, n>& values) {
  return values.at(random.below(n));
}

// A mean between two strikes, or never, half and half.
Moment draw_mean(Random& random, Moment least, Moment most) {
  const Moment mean = draw_between(random, least, most);
  return random.chance(1, 2) ? mean : 0;
}

std::uint32_t draw_rate(Random& random, std::uint32_t most) {
  const auto rate = static_cast<std::uint32_t>(random.below(most) + 1);
  return random.chance(1, 2) ? rate : 0;
}

NodePlan draw_node(Random& random) {
  NodePlan plan;
  // Mostly one: a group that does nothing costs as much as one that does.
  plan.data_groups = pick(random, std::array<std::uint32_t, 4>{1, 1, 2, 3});
  plan.segments.segment_bytes_min =
      random.chance(1, 2) ? kSegmentBytesLeast : storage::kSegmentBytesMin;
  plan.segments.segment_bytes_max =
      plan.segments.segment_bytes_min * pick(random, std::array<std::size_t, 3>{1, 1, 4});
  plan.segments.early_flush_bytes =
      pick(random, std::array<std::size_t, 3>{1, 4096, storage::kEarlyFlushBytes});
  plan.pace.least = draw_between(random, 1, 200);
  plan.pace.most = plan.pace.least + draw_between(random, 1, 5'000);
  plan.pace.stall_rate = draw_rate(random, 20'000);
  plan.pace.flush_workers = static_cast<std::uint32_t>(1 + random.below(8));
  plan.pace.refuse_rate = draw_rate(random, 50'000);
  plan.snapshot_piece_bytes =
      pick(random, std::array<std::size_t, 3>{1, 10'000, net::kSnapshotPieceBytes});
  // Above the polls that a tail leaves open, or appends would wait for those.
  plan.outstanding_max = pick(random, std::array<std::size_t, 3>{24, 64, 4096});
  return plan;
}

void draw_raft(Random& random, NodePlan& plan) {
  raft::Options& raft = plan.raft;
  plan.tick_us = draw_between(random, 20, 200) * kMillisecond;
  raft.election_ticks = static_cast<raft::Ticks>(4 + random.below(10));
  // One entry a message and many of them on their way would be sent again and again out of order.
  raft.append_bytes_max =
      pick(random, std::array<std::size_t, 4>{1, 1000, 10'000, std::size_t{1} << 20});
  raft.inflight_messages_max = raft.append_bytes_max == 1
                                   ? pick(random, std::array<std::size_t, 2>{1, 4})
                                   : pick(random, std::array<std::size_t, 4>{1, 2, 8, 64});
}

// Bounds so low that they are met, and what may be off.
void draw_limits(std::uint64_t seed, raft::Options& raft) {
  Random limits(seed, "limits");
  raft.reads_max = pick(limits, std::array<std::size_t, 4>{1, 4, 4096, 4096});
  raft.uncommitted_bytes_max =
      pick(limits, std::array<std::size_t, 4>{1, 20'000, raft.uncommitted_bytes_max,
                                              raft.uncommitted_bytes_max});
  raft.inflight_bytes_max = pick(
      limits, std::array<std::size_t, 3>{2000, raft.inflight_bytes_max, raft.inflight_bytes_max});
  raft.promotion_lag_max = pick(limits, std::array<std::uint64_t, 3>{1, 50, 1000});
  raft.pre_vote = !limits.chance(1, 8);
  raft.check_quorum = !limits.chance(1, 8);
}

WorkloadPlan draw_workload(Random& random) {
  WorkloadPlan plan;
  plan.users = static_cast<std::uint32_t>(1 + random.below(4));
  plan.streams = static_cast<std::uint32_t>(1 + random.below(2));
  plan.shards = static_cast<std::uint32_t>(1 + random.below(3));
  // Busy or almost idle: what goes wrong between two operations needs few of them.
  plan.pause_most = (draw_between(random, 10, 30) * kMillisecond) << random.below(6);
  plan.in_flight_max = pick(random, std::array<std::uint32_t, 3>{1, 8, 64});
  plan.burst_max = static_cast<std::uint32_t>(1 + random.below(kSmallBurstMax));
  plan.value_bytes_max = pick(random, std::array<std::size_t, 4>{12, 100, 500, 3000});
  plan.mix.conditional = random.chance(1, 2) ? 5 : 0;
  plan.mix.read = static_cast<std::uint32_t>(5 + random.below(20));
  plan.mix.trim = random.chance(1, 3) ? static_cast<std::uint32_t>(1 + random.below(5)) : 0;
  plan.tails = static_cast<std::uint32_t>(random.below(2));
  plan.kill_rate = draw_rate(random, 5'000);
  // One record a batch, few, or many.
  plan.producer.batch_bytes = pick(random, std::array<std::size_t, 3>{1, 2000, 256 << 10});
  plan.producer.linger = random.chance(1, 4) ? 5 * kMillisecond : 0;
  // Many at once and seldom: what an append costs here is mostly what its batch costs.
  if (plan.producer.batch_bytes > 1 && random.chance(1, 2)) {
    plan.in_flight_max = 512;
    plan.burst_max = std::uint32_t{32} << random.below(4);
    plan.pause_most = std::max(plan.pause_most, 200 * kMillisecond);
  }
  plan.producer.append_deadline = draw_between(random, 2, 30) * kSecond;
  plan.producer.attempt_timeout = draw_between(random, 500, 5'000) * kMillisecond;
  return plan;
}

void draw_producers(std::uint64_t seed, WorkloadPlan& plan) {
  Random codec(seed, "codec");
  plan.producer.codec =
      pick(codec, std::array<Codec, 8>{Codec::kNone, Codec::kNone, Codec::kNone, Codec::kNone,
                                       Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd});
  // Given up while it is still on its way.
  Random deadlines(seed, "deadlines");
  if (deadlines.chance(1, 4)) {
    plan.producer.append_deadline = draw_between(deadlines, 500, 3'000) * kMillisecond;
    plan.producer.attempt_timeout = draw_between(deadlines, 200, 1'000) * kMillisecond;
  }
  // Of large bursts a segment shall take several.
  if (plan.burst_max > kSmallBurstMax) {
    plan.value_bytes_max = std::min<std::size_t>(plan.value_bytes_max, 200);
  }
}

FaultPlan draw_faults(Random& random) {
  FaultPlan plan;
  plan.power_cut = draw_mean(random, 3 * kSecond, 30 * kSecond);
  plan.power_cut_in_call = draw_mean(random, 3 * kSecond, 30 * kSecond);
  plan.kill = draw_mean(random, 3 * kSecond, 30 * kSecond);
  plan.stop = draw_mean(random, 10 * kSecond, 60 * kSecond);
  plan.pause = draw_mean(random, 5 * kSecond, 30 * kSecond);
  plan.depose = draw_mean(random, 3 * kSecond, 15 * kSecond);
  plan.members = draw_mean(random, 1 * kSecond, 10 * kSecond);
  plan.transfer = draw_mean(random, 2 * kSecond, 15 * kSecond);
  plan.slow_disk = draw_mean(random, 5 * kSecond, 30 * kSecond);
  plan.disk_error = draw_mean(random, 10 * kSecond, 60 * kSecond);
  plan.disk_full = draw_mean(random, 10 * kSecond, 60 * kSecond);
  plan.clock_jump = draw_mean(random, 2 * kSecond, 20 * kSecond);
  plan.clock_drift = draw_mean(random, 5 * kSecond, 30 * kSecond);
  plan.partition = draw_mean(random, 3 * kSecond, 20 * kSecond);
  plan.clog = draw_mean(random, 1 * kSecond, 10 * kSecond);
  plan.lasts_most = draw_between(random, 100 * kMillisecond, 10 * kSecond);
  plan.lose_state_rate = draw_rate(random, 300'000);
  plan.crash_in_recovery_rate = draw_rate(random, 300'000);
  return plan;
}

// Flushes that take as long as elections, and leaders that change all the time: votes, truncations
// and the entries of the next leader meet what is still on its way to the disk.
void draw_unrest(Random& random, RunPlan& plan) {
  NodePlan& node = plan.node;
  node.tick_us = draw_between(random, 20, 60) * kMillisecond;
  node.raft.election_ticks = static_cast<raft::Ticks>(4 + random.below(4));
  const Moment election = node.tick_us * static_cast<Moment>(node.raft.election_ticks);
  // Not before there is anything to lose: there might never be.
  plan.faults.pace.most += draw_between(random, election / 8, election);
  plan.faults.pace.stall_rate = static_cast<std::uint32_t>(random.below(200'000));
  plan.faults.pace.stall = 3 * election;
  plan.faults.transfer = draw_between(random, 500, 3'000) * kMillisecond;
  plan.faults.depose = draw_between(random, 1, 6) * kSecond;
  plan.faults.lasts_most = draw_between(random, 500, 3'000) * kMillisecond;
}

// Damage at rest: within what is promised, or beyond it.
void draw_damage(std::uint64_t seed, RunPlan& plan) {
  Random damage(seed, "damage");
  if (plan.nodes >= 3 && damage.chance(1, 3)) {
    plan.faults.damage = draw_between(damage, 500 * kMillisecond, 8 * kSecond);
    plan.node.scrub = {.piece_bytes = std::size_t{1} << 20,
                       .piece_every_us = 200 * kMillisecond,
                       .pass_every_us = 2 * kSecond};
  }
  Random beyond(seed, "beyond");
  if (plan.faults.damage == 0 && beyond.chance(1, 8)) {
    plan.faults.beyond = true;
    plan.faults.damage = draw_between(beyond, 200 * kMillisecond, 5 * kSecond);
    plan.node.scrub = {.piece_bytes = std::size_t{1} << 20,
                       .piece_every_us = 200 * kMillisecond,
                       .pass_every_us = 2 * kSecond};
  }
}

// Files that are damaged one copy at a time, and calls of the disk that fail.
void draw_sick_disks(std::uint64_t seed, FaultPlan& faults) {
  Random files(seed, "files");
  if (files.chance(1, 3)) {
    faults.files = draw_between(files, 300 * kMillisecond, 5 * kSecond);
  }
  Random recoveries(seed, "recoveries");
  faults.error_in_recovery_rate = draw_rate(recoveries, 500'000);
  // A disk that is about to die.
  if (recoveries.chance(1, 4)) {
    constexpr std::array<std::string_view, 8> kParts = {"",
                                                        "",
                                                        storage::kImagesDirectoryName,
                                                        storage::kImagesDirectoryName,
                                                        storage::kImagePartName,
                                                        storage::kHardStateFileName,
                                                        storage::kManifestName,
                                                        ".seg"};
    faults.disk_error = draw_between(recoveries, 200 * kMillisecond, 2 * kSecond);
    faults.error_in_recovery_rate = 500'000;
    faults.disk_error_part = pick(recoveries, kParts);
  }
}

LinkWeather draw_weather(Random& random) {
  LinkWeather weather;
  weather.delay_least = draw_between(random, 10, 2'000);
  weather.delay_most = weather.delay_least + draw_between(random, 1, 20'000);
  weather.tail_rate = draw_rate(random, 20'000);
  weather.tail = draw_between(random, 10, 500) * kMillisecond;
  weather.loss_rate = draw_rate(random, 50'000);
  weather.duplicate_rate = draw_rate(random, 50'000);
  weather.reorder_rate = draw_rate(random, random.chance(1, 4) ? 300'000 : 50'000);
  weather.replay_rate = draw_rate(random, 10'000);
  weather.corrupt_rate = draw_rate(random, 2'000);
  weather.reset_rate = draw_rate(random, 3'000);
  return weather;
}

}  // namespace

RunPlan draw_plan(std::uint64_t seed) {
  Random random(seed, "plan");
  RunPlan plan{.seed = seed};
  // Mostly three.
  plan.nodes = pick(random, std::array<std::uint32_t, 8>{1, 2, 3, 3, 3, 4, 5, 7});
  plan.node = draw_node(random);
  plan.node.members = plan.nodes;
  draw_raft(random, plan.node);
  draw_limits(seed, plan.node.raft);
  plan.workload = draw_workload(random);
  plan.faults = draw_faults(random);
  plan.faults.pace = plan.node.pace;
  plan.weather = draw_weather(random);
  // Small segments and many trims: a follower that was cut off needs what was given back.
  if (plan.nodes > 1 && random.chance(2, 3)) {
    plan.workload.mix.trim = static_cast<std::uint32_t>(1 + random.below(8));
    plan.node.segments.segment_bytes_min = kSegmentBytesLeast;
    plan.node.segments.segment_bytes_max = kSegmentBytesLeast;
    plan.workload.value_bytes_max = 3000;
    plan.faults.lasts_most = draw_between(random, 5, 25) * kSecond;
  }
  Random unrest(seed, "unrest");
  if (plan.nodes >= 3 && unrest.chance(1, 6)) draw_unrest(unrest, plan);
  draw_producers(seed, plan.workload);
  // Fewer than there are users: each is forgotten again and again. A stream of chance of its own.
  Random sessions(seed, "sessions");
  if (sessions.chance(1, 4)) plan.node.producer_sessions_max = 1 + sessions.below(3);
  plan.rare = draw_rare_rates(random, seed);
  Random pace(seed, "pace");
  if (pace.chance(1, 3)) {
    // So slow that it is felt; all the logs of a cluster pass within the time of a calm end.
    plan.node.snapshot_bytes_per_second = (2 + pace.below(14)) << 20;
  }
  draw_damage(seed, plan);
  draw_sick_disks(seed, plan.faults);
  plan.workload.unreadable = plan.faults.damage > 0 || plan.faults.disk_error > 0 ||
                             plan.faults.error_in_recovery_rate > 0;
  if (plan.nodes < 3) plan.faults.members = 0;
  // A group that is left with few members may need every one of them.
  if (random.chance(1, 3) && plan.faults.members == 0) plan.held_down = (plan.nodes - 1) / 2;
  Random wipes(seed, "wipes");
  if (plan.nodes >= 3 && plan.faults.damage == 0 && wipes.chance(1, 3)) {
    plan.faults.wipe = draw_between(wipes, 1 * kSecond, 10 * kSecond);
    // Who is lost and who is held down would be more than a group can bear.
    plan.held_down = 0;
  }
  // Whose state is gone needs one that holds as much of the log: where nodes are held down there
  // may be none left.
  plan.faults.images = plan.held_down == 0;
  plan.fire = draw_between(random, 10, 40) * kSecond;
  // Several heartbeats fit into an election timeout.
  if (plan.node.raft.election_ticks >= 9) {
    plan.node.raft.heartbeat_ticks = static_cast<raft::Ticks>(1 + random.below(3));
  }
  return plan;
}

std::string RunPlan::describe() const {
  return fmt::format(
      "seed {}: {} nodes, ticks of {} ms, window {} x {} bytes, {}+1 groups, segments {}..{} KiB, "
      "{} users, {} streams x {} shards, {} producers remembered, "
      "pauses up to {} ms, bursts of {}, {} in flight, batches of {} bytes, values of {} bytes, {} "
      "s of faults",
      seed, nodes, node.tick_us / kMillisecond, node.raft.inflight_messages_max,
      node.raft.append_bytes_max, node.data_groups, node.segments.segment_bytes_min >> 10,
      node.segments.segment_bytes_max >> 10, workload.users, workload.streams, workload.shards,
      node.producer_sessions_max, workload.pause_most / kMillisecond, workload.burst_max,
      workload.in_flight_max, workload.producer.batch_bytes, workload.value_bytes_max,
      fire / kSecond);
}

}  // namespace lignum::jepsen
