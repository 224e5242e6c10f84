#pragma once

// Several whole nodes in one hand-run world: the real hosts, groups, services and codec, over
// simulated disks and a network that the test holds in its hand.
//
// Every message between nodes is encoded, kept in a queue, and decoded again when it is delivered.
// A link may be cut in one direction; what is sent over it is lost. Time is the same for all: run()
// works off what is ready, step() moves to the next timer. A node may be stopped, killed (what was
// not synced is lost) and started again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include "net/message.h"
#include "net/peer_message.h"
#include "net/raft_codec.h"
#include "raft/check.h"
#include "raft/output.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/meta_group.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "server/router.h"
#include "tests/server/sim_node.h"

namespace lignum::server::testing {

class SimCluster {
 public:
  explicit SimCluster(std::size_t nodes, const SegmentStoreOptions& store = {}) : cells_(nodes) {
    std::vector<ReplicaId> members;
    for (std::size_t i = 0; i < nodes; ++i) {
      members.push_back({.node = NodeId(static_cast<std::uint32_t>(i + 1)),
                         .incarnation = NodeIncarnation(100 + i)});
    }
    for (std::size_t i = 0; i < nodes; ++i) {
      cells_[i].self = members[i];
      cells_[i].members = members;
      cells_[i].groups = 1;
      cells_[i].logs = {.make = make_segmented_log(store),
                        .open = open_segmented_log(store),
                        .repair = repair_segmented_log(store)};
    }
    nodes_.resize(nodes);
  }

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] bool up(std::size_t i) const { return nodes_[i] != nullptr; }
  SimNode& node(std::size_t i) { return *nodes_[i]; }
  Cell& cell(std::size_t i) { return cells_[i]; }

  bool start(std::size_t i) {
    nodes_[i] = std::make_unique<SimNode>(cells_[i], 7 * ++starts_ + i);
    nodes_[i]->world.now.monotonic_us = now_;
    nodes_[i]->world.now.wall_us = kEpochUs + now_;
    nodes_[i]->world.on_send([this](const net::PeerMessage& message) { enqueue(message); });
    return nodes_[i]->start();
  }
  bool start_all() {
    bool all = true;
    for (std::size_t i = 0; i < size(); ++i) all = start(i) && all;
    return all;
  }
  bool stop(std::size_t i) {
    // Five seconds, as logd has.
    const auto stopped = nodes_[i]->begin_stop();
    for (int waited = 0; !*stopped && waited < 500; ++waited) advance(10'000);
    run();
    nodes_[i].reset();
    return *stopped;
  }
  // The process dies at once; its disk keeps what was synced.
  void kill(std::size_t i) {
    nodes_[i].reset();
    cells_[i].disk = cells_[i].disk->crash(++starts_, {});
  }

  void cut(std::size_t from, std::size_t to) { cut_.emplace(from, to); }
  void cut_off(std::size_t i) {
    for (std::size_t other = 0; other < size(); ++other) {
      cut(i, other);
      cut(other, i);
    }
  }
  void heal() { cut_.clear(); }

  // What happens to messages, of a thousand: one may be lost, sent twice, or overtaken.
  struct Weather {
    std::uint64_t lost = 0;
    std::uint64_t doubled = 0;
    std::uint64_t late = 0;
  };
  void set_weather(const Weather& weather) { weather_ = weather; }
  // Sees every message when it is delivered, and may change it; false loses it.
  void on_deliver(std::function<bool(net::PeerMessage&)> look) { look_ = std::move(look); }

  // A node whose disk fails is dead until it is killed and started again.
  void expect_deaths(bool expected) { deaths_expected_ = expected; }

  // Everything that is ready on every node, messages included.
  void run() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& each : nodes_) {
        if (each == nullptr || !each->world.busy()) continue;
        busy = true;
        each->world.run();
      }
      for (std::size_t left = wire_.size(); left > 0; --left) {
        busy = true;
        deliver(take());
      }
    }
  }
  // Monotonic, in microseconds.
  [[nodiscard]] std::int64_t now() const { return now_; }
  // Moves time on, timer by timer.
  void advance(std::int64_t microseconds) {
    const std::int64_t end = now_ + microseconds;
    run();
    while (true) {
      const std::int64_t next = next_wake(end);
      now_ = std::max(now_, next);
      if (!advance_nodes()) return;
      run();
      if (now_ >= end && next >= end) return;
    }
  }
  // Until `done()`, or for a minute at most; says which.
  template <class Done>
  bool wait(Done done) {
    for (int i = 0; i < 6000; ++i) {
      if (done()) return true;
      advance(10'000);
    }
    return done();
  }

  // The node whose replica of `group` leads with the highest term among those that are up.
  std::optional<std::size_t> leader(GroupId group) {
    std::optional<std::size_t> found;
    Term term;
    for (std::size_t i = 0; i < size(); ++i) {
      if (!up(i)) continue;
      const ReplicaStatus status = status_of(i, group);
      if (status.role != raft::Role::kLeader || status.term < term) continue;
      found = i;
      term = status.term;
    }
    return found;
  }
  ReplicaStatus status_of(std::size_t i, GroupId group) {
    ReplicaStatus status;
    Router& router = nodes_[i]->host().router();
    if (group == kMetaGroup) {
      router.on_meta([&status](MetaGroup& meta) { status = meta.status(); });
    } else {
      CHECK(router.on_group(group, [&status](DataGroup& data) { status = data.status(); }));
    }
    nodes_[i]->world.run();
    return status;
  }

  // An answer, or none after a minute.
  std::optional<Answer> call(std::size_t i, wire::Request request,
                             std::vector<std::byte> payload = {}) {
    if (request.deadline_ms() == 0) request.set_deadline_ms(60'000);
    const Pending pending = nodes_[i]->send(std::move(request), std::move(payload));
    wait([&] { return pending->has_value(); });
    return std::move(*pending);
  }

  // The id of the stream that `request` makes, once the catalogue and `group` have leaders; none
  // after a minute.
  std::optional<std::uint64_t> make_stream(const wire::Request& request, GroupId group) {
    std::optional<std::uint64_t> stream;
    wait([&] {
      const auto leads = leader(kMetaGroup);
      if (!leads || !leader(group)) return false;
      const auto created = call(*leads, request);
      if (!created || !created->response.has_create_stream()) return false;
      stream = created->response.create_stream().stream().id();
      return true;
    });
    return stream;
  }

  [[nodiscard]] std::size_t delivered() const { return delivered_; }

 private:
  // When a node wants to be woken, at `end` at the latest.
  [[nodiscard]] std::int64_t next_wake(std::int64_t end) {
    for (auto& each : nodes_) {
      if (each == nullptr) continue;
      if (const auto wake = each->world.next_wake()) end = std::min(end, *wake);
    }
    return end;
  }
  // Brings every node to the present. False: one died that should not have.
  bool advance_nodes() {
    for (auto& each : nodes_) {
      if (each == nullptr) continue;
      each->world.advance(now_ - each->world.now.monotonic_us);
      if (each->world.dead && deaths_expected_) continue;
      EXPECT_EQ(each->world.death, "");
      if (each->world.dead) return false;
    }
    return true;
  }
  static constexpr TimeUs kEpochUs = 1'700'000'000'000'000;

  struct Parcel {
    std::size_t from = 0;
    std::size_t to = 0;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] std::size_t place_of(ReplicaId id) const { return id.node.value() - 1; }

  void enqueue(const net::PeerMessage& message) {
    const net::EncodedPeerMessage encoded = net::encode_peer_message(message);
    Parcel parcel{
        .from = place_of(message.from()), .to = place_of(message.to()), .bytes = encoded.head};
    for (const Payload& slice : encoded.payload) {
      parcel.bytes.insert(parcel.bytes.end(), slice.bytes().begin(), slice.bytes().end());
    }
    if (cut_.contains({parcel.from, parcel.to}) || chance(weather_.lost)) return;
    if (chance(weather_.doubled)) wire_.push_back(parcel);
    wire_.push_back(std::move(parcel));
    if (wire_.size() > 1 && chance(weather_.late)) {
      std::swap(wire_.back(), wire_[random_.below(wire_.size())]);
    }
  }
  bool chance(std::uint64_t per_mille) { return per_mille > 0 && random_.below(1000) < per_mille; }
  Parcel take() {
    Parcel parcel = std::move(wire_.front());
    wire_.pop_front();
    return parcel;
  }
  void deliver(const Parcel& parcel) {
    if (!up(parcel.to) || cut_.contains({parcel.from, parcel.to})) return;
    net::MessageReader reader(net::kPeerLimits);
    Bytes rest = parcel.bytes;
    while (true) {
      const std::span<std::byte> room = reader.prepare();
      const std::size_t n = std::min(room.size(), rest.size());
      CHECK(n > 0);
      std::ranges::copy(rest.first(n), room.begin());
      reader.commit(n);
      rest = rest.subspan(n);
      const auto cut_out = reader.next();
      CHECK(cut_out.has_value());
      if (!*cut_out) continue;
      auto message = net::decode_peer_message((*cut_out)->header, (*cut_out)->payload);
      CHECK(message.has_value());
      if (look_ && !look_(*message)) return;
      ++delivered_;
      nodes_[parcel.to]->host().receive(std::move(*message));
      return;
    }
  }

  std::vector<Cell> cells_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::deque<Parcel> wire_;
  std::set<std::pair<std::size_t, std::size_t>> cut_;
  std::int64_t now_ = 1'000'000;
  std::uint64_t starts_ = 0;
  std::size_t delivered_ = 0;
  bool deaths_expected_ = false;
  Weather weather_;
  Random random_{1, "weather"};
  std::function<bool(net::PeerMessage&)> look_;
};

}  // namespace lignum::server::testing
