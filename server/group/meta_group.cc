#include "server/group/meta_group.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "net/routing_table.h"
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/ports.h"
#include "server/group/read_waiters.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "server/group/upkeep.h"
#include "server/group/waiters.h"
#include "server/meta/meta_state.h"
#include "server/meta/stream_name.h"
#include "server/router.h"
#include "server/shard/shard_state.h"
#include "storage/crc32c.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

// Of the node's own work, which no client waits for.
constexpr std::int64_t kOwnDeadlineUs = 10'000'000;

using GroupShards = std::map<GroupId, std::vector<ShardSettings>>;

void add_shards(const net::StreamRoute& stream, GroupShards& shards) {
  const auto count = static_cast<std::int64_t>(stream.shards.size());
  for (std::size_t number = 0; number < stream.shards.size(); ++number) {
    shards[stream.shards[number]].push_back(
        {.key = {.stream = stream.id, .shard = ShardNumber(static_cast<std::uint32_t>(number))},
         .start = Offset(0),
         .chain = {},
         .retention_ms = stream.retention_ms,
         // The stream's limit is shared out evenly.
         .retention_bytes = stream.retention_bytes < 0
                                ? -1
                                : std::max<std::int64_t>(1, stream.retention_bytes / count)});
  }
}

// A group that another node leads is looked after there; whoever begins to lead it looks again.
bool led_elsewhere(DataGroup& group) {
  const Replica& replica = group.replica();
  return !replica.admitting() && replica.refusal().code() == Errc::kNotLeader;
}

// What is left undone here is found by the next round of whoever leads.
Reply<Done> led_elsewhere_is_fine(Reply<Done> reply) {
  return [reply = std::move(reply)](std::expected<Done, Refusal> outcome) mutable {
    const bool elsewhere = !outcome && outcome.error().error.code() == Errc::kNotLeader;
    reply(elsewhere ? std::expected<Done, Refusal>(Done{}) : std::move(outcome));
  };
}

// One answer out of several.
struct Gathered {
  std::size_t open = 0;
  std::optional<Refusal> refusal;
  Reply<Done> done;
};

}  // namespace

MetaGroup::MetaGroup(Parts parts, Ports& ports, Router& router)
    : ports_(ports),
      router_(router),
      state_(std::move(parts.state)),
      damaged_(std::move(parts.damaged)),
      replica_(std::move(parts.replica), parts.applied, *state_, ports, *this),
      identity_(parts.identity),
      data_groups_(std::move(parts.data_groups)),
      defaults_(parts.defaults),
      alive_(std::make_shared<bool>(true)) {
  publish();
}

MetaGroup::~MetaGroup() { *alive_ = false; }

void MetaGroup::start(Task settled) {
  settled_ = std::move(settled);
  replica_.start();
  // Nobody waits for other nodes.
  if (!replica_.alone()) settle();
}

Refusal MetaGroup::not_admitting() const {
  return {.error = replica_.refusal(), .leader = replica_.other_leader()};
}

void MetaGroup::stop(Task done) { replica_.stop(std::move(done)); }

void MetaGroup::settle() {
  if (settled_) std::exchange(settled_, nullptr)();
}

void MetaGroup::on_admitting() { begin(); }

void MetaGroup::begin() {
  begin_at_.reset();
  const auto go_on = [this](const std::expected<Done, Refusal>& outcome) {
    if (!outcome) {
      // Another leader tries by itself; this one again, as long as it leads.
      if (!std::exchange(begin_failed_, true)) {
        ports_.report(Severity::kError,
                      fmt::format("the cluster is not initialised yet, trying again: {}",
                                  outcome.error().error.describe()));
      }
      if (replica_.admitting()) {
        begin_at_ = ports_.now().monotonic_us + kBeginRetryUs;
        replica_.wake_by(*begin_at_);
      }
      return settle();
    }
    reconcile(ports_.now().monotonic_us + kOwnDeadlineUs,
              [this](const std::expected<Done, Refusal>& /*outcome*/) { settle(); });
  };
  if (state_->cluster()) return go_on(Done{});
  InitClusterCommand command{.cluster = identity_.cluster.bytes,
                             .node = {.node = identity_.node, .incarnation = identity_.incarnation},
                             .data_groups = data_groups_,
                             .others = {}};
  for (const ReplicaId& member : identity_.members) {
    if (member.node == identity_.node) continue;
    command.others.push_back({.node = member.node, .incarnation = member.incarnation});
  }
  propose(encode_init_cluster(command), ports_.now().monotonic_us + kOwnDeadlineUs, go_on);
}

void MetaGroup::on_leadership_lost() {
  begin_at_.reset();
  producers_left_ = 0;
  for (auto& waiting : std::exchange(producers_waiting_, {})) {
    waiting(std::unexpected(not_admitting()));
  }
}

void MetaGroup::on_halted() {
  settle();
  if (replica_.log_damaged()) damaged_();
}

void MetaGroup::on_applied(const Entry& entry) {
  if (entry.header.kind != EntryKind::kCommand) return;
  publish();
  // Alone, whoever asked for the change sees to the shards.
  if (!replica_.alone()) reconcile_soon();
}

void MetaGroup::on_restored() {
  publish();
  reconcile_soon();
}

void MetaGroup::reconcile_soon() { reconcile_at(ports_.now().monotonic_us + kReconcileSoonUs); }

void MetaGroup::reconcile_at(std::int64_t monotonic_us) {
  next_reconcile_ = dirty_ ? std::min(next_reconcile_, monotonic_us) : monotonic_us;
  dirty_ = true;
  replica_.wake_by(next_reconcile_);
}

void MetaGroup::when_current(std::int64_t deadline_monotonic_us, ReadWaiters::Callback use) {
  // Alone, nobody else can have changed it.
  if (replica_.alone()) return use({});
  replica_.confirm_read(deadline_monotonic_us, std::move(use));
}

void MetaGroup::publish() {
  router_.set_producers_end(state_->next_producer());
  auto table = state_->table();
  const auto before = router_.table();
  if (before == nullptr || before->epoch() != table->epoch()) router_.set_table(std::move(table));
}

std::optional<std::int64_t> MetaGroup::on_timer(const Now& now) {
  if (begin_at_ && *begin_at_ <= now.monotonic_us) begin();
  if (!dirty_) return begin_at_;
  const bool may = !replica_.alone() || replica_.admitting();
  if (next_reconcile_ <= now.monotonic_us && !reconciling_ && may) {
    reconcile(now.monotonic_us + kOwnDeadlineUs,
              [](const std::expected<Done, Refusal>& /*outcome*/) {});
  }
  const std::int64_t next = std::max(next_reconcile_, now.monotonic_us + kReconcileSoonUs);
  return begin_at_ ? std::min(next, *begin_at_) : next;
}

void MetaGroup::propose(Payload command, std::int64_t deadline_monotonic_us, Reply<Done> reply,
                        EntryUse use) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  if (!replica_.can_wait()) return reply(refuse(Errc::kOverloaded, "too many requests wait"));
  const storage::Room room = replica_.room(command.size(), use);
  if (room != storage::Room::kReady) {
    if (const auto stall = replica_.checkpoint_stall()) return reply(refuse(*stall));
    if (room == storage::Room::kPreparing) {
      return reply(refuse(Errc::kUnavailable, "room for the catalogue is being made; retry"));
    }
    return reply(refuse(replica_.room_error()));
  }
  Entry entry;
  entry.header.kind = EntryKind::kCommand;
  entry.header.payload_bytes = static_cast<std::uint32_t>(command.size());
  entry.header.payload_crc = crc32c(command.bytes());
  entry.payload = std::move(command);
  const auto id = replica_.propose(std::move(entry));
  if (!id) return reply(refuse(id.error()));
  const auto waits =
      replica_.wait_for(*id, deadline_monotonic_us, [reply = std::move(reply)](Fate fate) mutable {
        if (fate == Fate::kApplied) return reply(Done{});
        reply(refuse(fate == Fate::kLost ? Errc::kNotLeader : Errc::kUnknownOutcome,
                     "whether the catalogue was changed is not known"));
      });
  CHECK(waits.has_value());
}

void MetaGroup::ask_groups(const GroupShards& shards, const Ask& ask, Reply<Done> done) {
  if (shards.empty()) return done(Done{});
  auto gathered = std::make_shared<Gathered>();
  gathered->open = shards.size();
  gathered->done = std::move(done);
  const auto answered = [gathered](std::expected<Done, Refusal> outcome) {
    // A halted group must not hide that another one wants to be asked again.
    const bool open = gathered->refusal && gathered->refusal->error.code() != Errc::kHalted;
    if (!outcome && !open) gathered->refusal = std::move(outcome.error());
    if (--gathered->open > 0) return;
    if (gathered->refusal) {
      gathered->done(std::unexpected(std::move(*gathered->refusal)));
    } else {
      gathered->done(Done{});
    }
  };
  for (const auto& [group, settings] : shards) {
    // Back on this lane before the count is touched.
    const auto back = [this, answered, alive = alive_](std::expected<Done, Refusal> outcome) {
      ports_.post([answered, alive, outcome = std::move(outcome)]() mutable {
        if (*alive) answered(std::move(outcome));
      });
    };
    const auto sent = router_.on_group(
        group, [ask, settings, back](DataGroup& data_group) { ask(data_group, settings, back); });
    if (!sent) back(refuse(sent.error()));
  }
}

void MetaGroup::reconcile(std::int64_t deadline_monotonic_us, Reply<Done> done) {
  reconciling_ = true;
  // What changes from here on asks for another round.
  dirty_ = false;
  when_current(deadline_monotonic_us,
               [this, deadline_monotonic_us, done = std::move(done)](Result<void> current) mutable {
                 if (current) return reconcile_now(deadline_monotonic_us, std::move(done));
                 reconciling_ = false;
                 reconcile_at(ports_.now().monotonic_us + kReconcileEveryUs);
                 done(refuse(std::move(current).error()));
               });
}

void MetaGroup::reconcile_now(std::int64_t deadline_monotonic_us, Reply<Done> done) {
  const auto table = state_->table();
  GroupShards shards;
  for (const GroupId group : table->groups()) shards[group];
  for (const net::StreamRoute* stream : table->streams()) add_shards(*stream, shards);
  // A halted group cannot be helped, and must not keep the node busy.
  std::erase_if(shards, [this](const auto& each) {
    const auto seat = router_.seats().find(each.first);
    return seat == router_.seats().end() || seat->second.group == nullptr;
  });
  ask_groups(
      shards,
      [deadline_monotonic_us, next_stream = state_->next_stream()](
          DataGroup& group, const std::vector<ShardSettings>& wanted, Reply<Done> reply) {
        if (led_elsewhere(group)) return reply(Done{});
        // One that hands its leadership over refuses too, and is asked again: it may keep it, and
        // then nobody begins to lead.
        group.reconcile(wanted, next_stream, deadline_monotonic_us, std::move(reply));
      },
      [this, epoch = table->epoch(),
       done = std::move(done)](const std::expected<Done, Refusal>& outcome) mutable {
        reconciling_ = false;
        const bool same = state_->table()->epoch() == epoch;
        // A group that was halted meanwhile is not asked again.
        if (!same || (!outcome && outcome.error().error.code() != Errc::kHalted)) {
          reconcile_at(ports_.now().monotonic_us + kReconcileEveryUs);
        }
        done(outcome);
      });
}

void MetaGroup::create_stream(const CreateStreamRequest& request,
                              Reply<CreateStreamOutcome> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  const CreateStreamCommand command{
      .name = request.name,
      .shards = request.shards.value_or(defaults_.shards),
      .retention_ms = request.retention_ms.value_or(defaults_.retention_ms),
      .retention_bytes = request.retention_bytes.value_or(defaults_.retention_bytes)};
  if (const auto valid = check_new_stream_name(command.name); !valid) {
    return reply(refuse(valid.error()));
  }
  if (const auto valid = check_shard_count(command.shards); !valid) {
    return reply(refuse(valid.error()));
  }
  if (const auto valid = check_retention("retention_ms", command.retention_ms); !valid) {
    return reply(refuse(valid.error()));
  }
  if (const auto valid = check_retention("retention_bytes", command.retention_bytes); !valid) {
    return reply(refuse(valid.error()));
  }
  if (state_->table()->find(command.name) != nullptr) {
    return when_current(request.deadline_monotonic_us,
                        [this, request, reply = std::move(reply)](Result<void> current) mutable {
                          if (!current) return reply(refuse(std::move(current).error()));
                          created(request, true, std::move(reply));
                        });
  }
  propose(encode_create_stream(command), request.deadline_monotonic_us,
          [this, request,
           reply = std::move(reply)](const std::expected<Done, Refusal>& outcome) mutable {
            if (!outcome) return reply(std::unexpected(outcome.error()));
            const MetaOutcome& became = state_->last_outcome();
            if (const auto* error = std::get_if<Error>(&became)) return reply(refuse(*error));
            created(request, std::get<StreamCreated>(became).existed, std::move(reply));
          });
}

void MetaGroup::created(const CreateStreamRequest& request, bool existed,
                        Reply<CreateStreamOutcome> reply) {
  const auto table = state_->table();
  const net::StreamRoute* stream = table->find(request.name);
  if (stream == nullptr) {
    return reply(refuse(Errc::kUnavailable, "the stream was deleted meanwhile; retry"));
  }
  // Only what the creator said can differ.
  const bool differs =
      (request.shards && *request.shards != stream->shards.size()) ||
      (request.retention_ms && *request.retention_ms != stream->retention_ms) ||
      (request.retention_bytes && *request.retention_bytes != stream->retention_bytes);
  if (differs) {
    return reply(refuse(Errc::kAlreadyExists,
                        fmt::format("stream '{}' exists with other settings", request.name)));
  }
  GroupShards shards;
  add_shards(*stream, shards);
  CreateStreamOutcome outcome{.stream = *stream, .existed = existed};
  ask_groups(
      shards,
      [deadline = request.deadline_monotonic_us](
          DataGroup& group, const std::vector<ShardSettings>& wanted, Reply<Done> done) {
        group.open_shards(wanted, deadline, led_elsewhere_is_fine(std::move(done)));
      },
      [this, outcome = std::move(outcome),
       reply = std::move(reply)](const std::expected<Done, Refusal>& opened) mutable {
        if (opened) return reply(std::move(outcome));
        reconcile_at(ports_.now().monotonic_us + kReconcileEveryUs);
        reply(std::unexpected(opened.error()));
      });
}

void MetaGroup::delete_stream(const std::string& name, std::int64_t deadline_monotonic_us,
                              Reply<StreamId> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  propose(
      encode_delete_stream(name), deadline_monotonic_us,
      [this, deadline_monotonic_us,
       reply = std::move(reply)](const std::expected<Done, Refusal>& outcome) mutable {
        if (!outcome) return reply(std::unexpected(outcome.error()));
        const MetaOutcome& became = state_->last_outcome();
        if (const auto* error = std::get_if<Error>(&became)) return reply(refuse(*error));
        const StreamId id = std::get<StreamDeleted>(became).id;
        reconcile(deadline_monotonic_us,
                  [this, id, reply = std::move(reply)](
                      const std::expected<Done, Refusal>& /*dropped*/) mutable {
                    // Shards whose opening was in flight are found by the next round.
                    reconcile_at(ports_.now().monotonic_us + kReconcileEveryUs);
                    reply(id);
                  });
      },
      EntryUse::kGivesSpaceBack);
}

void MetaGroup::new_producer(std::int64_t deadline_monotonic_us, Reply<ProducerId> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  if (producers_waiting_.size() >= kProducersWaitingMax) {
    return reply(refuse(Errc::kOverloaded, "too many producers wait for an id; retry"));
  }
  producers_waiting_.push_back(std::move(reply));
  serve_producers();
  if (producers_waiting_.empty() || allocating_) return;
  allocating_ = true;
  propose(encode_allocate_producers(buggify(Buggify::kServerProducerBlock) ? 1 : kProducerBlock),
          deadline_monotonic_us, [this](const std::expected<Done, Refusal>& outcome) {
            allocating_ = false;
            if (outcome) {
              const auto* block = std::get_if<ProducersAllocated>(&state_->last_outcome());
              CHECK(block != nullptr);
              producers_left_ = block->count;
              next_producer_ = block->first;
              return serve_producers();
            }
            for (auto& waiting : std::exchange(producers_waiting_, {})) {
              waiting(std::unexpected(outcome.error()));
            }
          });
}

void MetaGroup::serve_producers() {
  // Another leader has taken a block since: shards that have forgotten ids of that one would refuse
  // what is left of this one, for they know only how far they have forgotten.
  if (next_producer_.value() + producers_left_ != state_->next_producer().value()) {
    producers_left_ = 0;
  }
  while (producers_left_ > 0 && !producers_waiting_.empty()) {
    --producers_left_;
    const ProducerId id = next_producer_;
    next_producer_ = ProducerId(id.value() + 1);
    Reply<ProducerId> waiting = std::move(producers_waiting_.front());
    producers_waiting_.pop_front();
    waiting(id);
  }
}

}  // namespace lignum::server
