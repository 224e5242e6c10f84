#pragma once

// A whole node without threads, sockets or a clock: the real host, groups and services over a
// simulated disk and a hand-run world.
//
// `Cell` is what survives a restart: the disk and the state store. SimNode is one life of the
// process. call() puts a request through dispatch() as the RPC server would, and returns the
// answer once the world has come to rest (nothing when it is still open, as a parked read is).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/proto/client.pb.h"
#include "net/snapshot_messages.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/group_host.h"
#include "server/group/log_scrubber.h"
#include "server/group/transfer_pace.h"
#include "server/service/call.h"
#include "server/service/dispatch.h"
#include "storage/file.h"
#include "storage/log.h"
#include "storage/memory_state_store.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"
#include "tests/server/manual_world.h"

namespace lignum::server::testing {

// How a node's logs are made and opened; the tests of the node run over more than one kind.
struct LogFactory {
  MakeLog make;
  OpenLog open;
  BeginRepair repair{};
};

struct Cell {
  std::shared_ptr<jepsen::SimDisk> disk = std::make_shared<jepsen::SimDisk>();
  std::shared_ptr<storage::MemoryStateStore> store = std::make_shared<storage::MemoryStateStore>();
  LogFactory logs;
  std::uint32_t groups = 2;
  std::size_t snapshot_piece_bytes = net::kSnapshotPieceBytes;
  std::uint64_t snapshot_bytes_per_second = TransferPace::kBytesPerSecond;
  std::size_t producer_sessions_max = ProducerTable::kSessionsMax;
  ScrubPace scrub;
  ReplicaId self{.node = NodeId(1), .incarnation = NodeIncarnation(5)};
  // Of a cluster of several nodes, this one among them.
  std::vector<ReplicaId> members;
  TimeUs wall_us = 1'700'000'000'000'000;
};

// An answer that may come later.
using Pending = std::shared_ptr<std::optional<Answer>>;

class SimNode {
 public:
  // `place` is what the node calls its data directory.
  explicit SimNode(Cell& cell, std::uint64_t seed = 1, std::string place = "sim")
      : world(seed),
        root_(cell.disk->root()),
        boot_ports_(world.make_ports()),
        place_(std::move(place)) {
    world.now.wall_us = cell.wall_us;
    storage::ClusterId cluster;
    cluster.bytes[0] = std::byte{7};
    host_ = std::make_unique<GroupHost>(GroupHostParts{
        .root = *root_,
        .bootstrap = {.groups = cell.groups,
                      .cluster = cluster,
                      .incarnation = cell.self.incarnation,
                      .node = cell.self.node,
                      .members = cell.members},
        .make_log = cell.logs.make,
        .open_log = cell.logs.open,
        .store = *cell.store,
        .reset_store = [store = cell.store]() -> Result<void> {
          *store = storage::MemoryStateStore();
          return {};
        },
        .make_ports = [this](GroupId) -> std::unique_ptr<Ports> { return world.make_ports(); },
        .boot_ports = *boot_ports_,
        .defaults = {.shards = 2},
        .producer_sessions_max = cell.producer_sessions_max,
        .raft = {.seed = seed},
        .snapshot_piece_bytes = cell.snapshot_piece_bytes,
        .snapshot_bytes_per_second = cell.snapshot_bytes_per_second,
        .begin_repair = cell.logs.repair,
        .scrub = cell.scrub});
  }

  // Opens and starts; false (see `error`) when the node refuses.
  bool start() {
    auto opened = host_->open();
    if (!opened) {
      error = opened.error().message();
      return false;
    }
    report = *opened;
    context_.emplace(
        ServiceContext{.router = host_->router(), .facts = facts(), .address_of = [](NodeId node) {
                         return "sim:" + std::to_string(node.value());
                       }});
    // It may serve later: when its catalogue has been repaired.
    auto serving = std::make_shared<bool>(false);
    host_->start([serving] { *serving = true; });
    world.run();
    return *serving && !world.dead;
  }
  bool stop() {
    const auto stopped = begin_stop();
    world.run();
    return *stopped;
  }
  // True when it has stopped, which may take others, and time.
  std::shared_ptr<bool> begin_stop() {
    auto stopped = std::make_shared<bool>(false);
    host_->stop([stopped] { *stopped = true; });
    return stopped;
  }

  Pending send(wire::Request request, std::vector<std::byte> payload = {}) {
    auto pending = std::make_shared<std::optional<Answer>>();
    dispatch(*context_, {.request = std::move(request), .payload = Payload(std::move(payload))},
             [pending](Answer answer) { *pending = std::move(answer); });
    return pending;
  }
  std::optional<Answer> call(wire::Request request, std::vector<std::byte> payload = {}) {
    const Pending pending = send(std::move(request), std::move(payload));
    world.run();
    return std::move(*pending);
  }

  GroupHost& host() { return *host_; }

  ManualWorld world;
  BootReport report;
  std::string error;

 private:
  [[nodiscard]] NodeFacts facts() const {
    return {.cluster_id = {},
            .node_id = 1,
            .version = "sim",
            .data_directory = place_,
            .uptime_ms = [] { return std::uint64_t{1}; },
            .disk_free_bytes = [] { return std::uint64_t{1} << 40U; },
            .resident_bytes = [] { return std::uint64_t{1} << 30U; },
            .cpu_us = [] { return std::int64_t{1}; },
            .connections = [] { return 1U; },
            .set_log_level = nullptr};
  }

  std::unique_ptr<storage::Directory> root_;
  std::unique_ptr<ManualPorts> boot_ports_;
  std::string place_;
  std::unique_ptr<GroupHost> host_;
  std::optional<ServiceContext> context_;
};

inline wire::Request create_request(const std::string& name) {
  wire::Request request;
  request.mutable_create_stream()->set_name(name);
  return request;
}

inline wire::Request append_request(std::uint64_t stream, std::uint32_t shard) {
  wire::Request request;
  request.mutable_append()->set_stream(stream);
  request.mutable_append()->set_shard(shard);
  return request;
}

inline wire::Request read_request(std::uint64_t stream, std::uint32_t shard, std::uint64_t from) {
  wire::Request request;
  request.mutable_read()->set_stream(stream);
  request.mutable_read()->set_shard(shard);
  request.mutable_read()->set_from_offset(from);
  request.mutable_read()->set_bytes_max(1 << 20);
  return request;
}

inline Errc code_of(const std::optional<Answer>& answer) {
  return answer && answer->response.has_failure()
             ? static_cast<Errc>(answer->response.failure().code())
             : Errc{};
}

}  // namespace lignum::server::testing
