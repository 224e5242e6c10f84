#include "server/service/node.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "net/proto/client.pb.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/meta_group.h"
#include "server/group/replica.h"
#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

namespace {

const char* role_name(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "follower";
    case raft::Role::kPreCandidate:
      return "pre-candidate";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kLeader:
      return "leader";
  }
  return "unknown";
}

// What is wrong with all groups together may take so much of a reply, whose header has 256 KiB:
// 1,024 groups take some 130 KiB without it.
constexpr std::size_t kDamageBytesMax = std::size_t{96} << 10;
// Of the data directory's path.
constexpr std::size_t kPathBytesMax = 4096;

// The answer while the groups are being asked; each writes its own message and the counters.
struct Stat {
  Answer answer;
  std::atomic<std::size_t> open{0};
  std::atomic<std::uint64_t> records{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> disk_full{false};
  // Of one group.
  std::size_t damage_bytes_max = 0;
  Respond respond;

  void one_done() {
    if (open.fetch_sub(1) != 1) return;
    wire::StatReply& reply = *answer.response.mutable_stat();
    reply.set_appended_records(records.load());
    reply.set_appended_bytes(bytes.load());
    reply.set_disk_full(disk_full.load());
    respond(std::move(answer));
  }
};

void encode_node(const NodeFacts& facts, wire::StatReply& reply) {
  reply.set_cluster_id(facts.cluster_id);
  reply.set_node_id(facts.node_id);
  reply.set_version(facts.version);
  reply.set_uptime_ms(facts.uptime_ms());
  reply.set_data_directory(cut_text(facts.data_directory, kPathBytesMax));
  reply.set_disk_free_bytes(facts.disk_free_bytes());
  reply.set_resident_bytes(facts.resident_bytes());
  reply.set_connections(facts.connections());
  reply.set_cpu_us(facts.cpu_us());
}

}  // namespace

void encode_group(const ReplicaStatus& status, std::size_t damage_bytes_max,
                  wire::GroupStatus& group) {
  group.set_role(status.damage.empty() ? role_name(status.role) : "halted");
  group.set_term(status.term.value());
  group.set_commit(status.commit.value());
  group.set_applied(status.applied.value());
  group.set_durable(status.durable.value());
  group.set_log_first(status.log_first.value());
  group.set_log_last(status.log_last.value());
  group.set_log_bytes(status.usage.bytes);
  group.set_live_bytes(status.usage.live_bytes);
  group.set_segments(static_cast<std::uint32_t>(status.usage.segments));
  group.set_damage(cut_text(status.damage, damage_bytes_max));
  // Damage that was cut is longer than its bound by what says so.
  const std::size_t left = damage_bytes_max - std::min(damage_bytes_max, group.damage().size());
  group.set_trouble(cut_text(status.trouble, left));
}

void serve_stat(const Router& router, const NodeFacts& facts, Respond respond) {
  auto stat = std::make_shared<Stat>();
  stat->respond = std::move(respond);
  wire::StatReply& reply = *stat->answer.response.mutable_stat();
  encode_node(facts, reply);
  const std::size_t groups = router.seats().size() + 1;
  stat->open = groups;
  stat->damage_bytes_max = kDamageBytesMax / groups;
  // All messages exist before the first group answers.
  for (std::size_t i = 0; i < groups; ++i) reply.add_groups();
  reply.mutable_groups(0)->set_group(kMetaGroup.value());
  router.on_meta([stat, &group = *reply.mutable_groups(0)](const MetaGroup& meta) {
    encode_group(meta.status(), stat->damage_bytes_max, group);
    stat->one_done();
  });
  int next = 1;
  for (const auto& [id, seat] : router.seats()) {
    wire::GroupStatus& group = *reply.mutable_groups(next++);
    group.set_group(id.value());
    const auto sent = router.on_group(id, [stat, &group](const DataGroup& data) {
      encode_group(data.status(), stat->damage_bytes_max, group);
      group.set_shards(static_cast<std::uint32_t>(data.shard_count()));
      stat->records += data.counters().appended_records;
      stat->bytes += data.counters().appended_bytes;
      if (data.disk_full()) stat->disk_full = true;
      stat->one_done();
    });
    if (!sent) {
      group.set_role("halted");
      group.set_damage(cut_text(seat.damage, stat->damage_bytes_max));
      stat->one_done();
    }
  }
}

void serve_set_log_level(const NodeFacts& facts, const Call& call, Respond respond) {
  const auto before = facts.set_log_level(call.request.set_log_level().level());
  if (!before) return respond(failure(before.error()));
  Answer answer;
  answer.response.mutable_set_log_level()->set_previous(*before);
  respond(std::move(answer));
}

}  // namespace lignum::server
