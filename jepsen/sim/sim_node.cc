#include "jepsen/sim/sim_node.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_pools.h"
#include "jepsen/sim/sim_ports.h"
#include "jepsen/sim/sim_server.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/world.h"
#include "net/message.h"
#include "net/peer_message.h"
#include "net/raft_codec.h"
#include "raft/check.h"
#include "raft/describe.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "server/service/dispatch.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/identity_file.h"
#include "storage/memory_state_store.h"

namespace lignum::jepsen {

namespace {

constexpr Moment kBootLeast = 1'000;
constexpr Moment kBootMost = 30'000;
constexpr Moment kStopMax = 10'000'000;
// Per million of the messages that nothing can bring to where they go.
constexpr std::uint32_t kUnreachableRate = 200'000;
constexpr Moment kUnreachableMost = 50'000;
// Incarnations are numbered by disk, then by node.
constexpr std::uint64_t kNodesMax = 1000;
constexpr std::string_view kAddressStart = "node-";
constexpr std::string_view kAddressEnd = ":7400";

// Each alternative of a message, and each of those of consensus, has a number of its own.
std::size_t kind_of(const net::PeerMessage& message) {
  const auto* const raft = std::get_if<raft::Message>(&message.body);
  return raft == nullptr ? 1000 + message.body.index() : raft->body.index();
}

}  // namespace

std::string node_address(HostNumber node) {
  return fmt::format("{}{}{}", kAddressStart, node, kAddressEnd);
}

std::optional<HostNumber> node_of_address(const std::string& address) {
  if (!address.starts_with(kAddressStart) || !address.ends_with(kAddressEnd)) return std::nullopt;
  HostNumber node = 0;
  const char* const begin = address.data() + kAddressStart.size();
  const char* const end = address.data() + (address.size() - kAddressEnd.size());
  const auto parsed = std::from_chars(begin, end, node);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return node;
}

ReplicaId replica_of(HostNumber node, std::size_t disks_lost) {
  return {.node = NodeId(node + 1),
          .incarnation = NodeIncarnation(kNodesMax * (disks_lost + 1) + node)};
}

// One run of the process. Members are unmade from the last to the first.
struct SimNode::Life {
  std::unique_ptr<storage::Directory> root;
  std::unique_ptr<SimPools> pools;
  std::uint32_t lines = 0;
  std::unique_ptr<SimPorts> boot_ports;
  std::unique_ptr<server::GroupHost> host;
  std::optional<server::ServiceContext> services;
  std::unique_ptr<SimServer> server;
  bool stopping = false;
};

SimNode::SimNode(World& world, SimNetwork& network, HostNumber number, const NodePlan& plan,
                 NodeWatcher& watcher)
    : world_(world),
      network_(network),
      number_(number),
      plan_(plan),
      watcher_(watcher),
      random_(world.stream(fmt::format("node {}", number))),
      self_(replica_of(number)),
      disk_(std::make_unique<SimDisk>(plan.disk)),
      store_(std::make_shared<storage::MemoryStateStore>()),
      pace_(plan.pace) {}

SimNode::~SimNode() = default;

server::GroupHost* SimNode::host() { return life_ ? life_->host.get() : nullptr; }

SimPools& SimNode::pools() {
  CHECK(life_ != nullptr);
  return *life_->pools;
}

void SimNode::start() {
  CHECK(state_ == State::kDown);
  state_ = State::kBooting;
  ++life_number_;
  later(draw_between(random_, kBootLeast, kBootMost), [this] { boot(); });
}

server::GroupHostParts SimNode::parts(Life& life) {
  storage::ClusterId cluster;
  cluster.bytes[0] = std::byte{7};
  // Every log begins with these; who comes later is taken in by an entry.
  std::vector<ReplicaId> members;
  for (HostNumber node = 0; plan_.members > 1 && node < plan_.members; ++node) {
    members.push_back(replica_of(node));
  }
  raft::Options raft = plan_.raft;
  raft.seed = random_.next();
  return {.root = *life.root,
          .bootstrap = {.groups = plan_.data_groups,
                        .cluster = cluster,
                        .incarnation = self_.incarnation,
                        .node = self_.node,
                        .members = std::move(members)},
          .make_log = server::make_segmented_log(plan_.segments),
          .open_log = server::open_segmented_log(plan_.segments),
          .store = *store_,
          .reset_store = [store = store_]() -> Result<void> {
            *store = storage::MemoryStateStore();
            return {};
          },
          .make_ports = [this, &life](GroupId) -> std::unique_ptr<server::Ports> {
            return std::make_unique<SimPorts>(*this, life.lines++);
          },
          .boot_ports = *life.boot_ports,
          .defaults = {.shards = plan_.shards},
          .producer_sessions_max = plan_.producer_sessions_max,
          .raft = raft,
          .tick_us = plan_.tick_us,
          .snapshot_piece_bytes = plan_.snapshot_piece_bytes,
          .snapshot_bytes_per_second = plan_.snapshot_bytes_per_second,
          .begin_repair = server::repair_segmented_log(plan_.segments),
          .scrub = plan_.scrub};
}

void SimNode::boot() {
  life_ = std::make_unique<Life>();
  Life& life = *life_;
  life.root = disk_->root();
  life.pools = std::make_unique<SimPools>(
      world_, number_,
      SimPools::Host{
          .later = [this](Moment delay,
                          EventQueue::Action action) { later(delay, std::move(action)); },
          .disk_failed = [this](std::string what) { disk_failed(std::move(what)); }},
      pace_);
  life.boot_ports = std::make_unique<SimPorts>(*this, life.lines++);
  life.host = std::make_unique<server::GroupHost>(parts(life));
  const auto opened = life.host->open();
  if (disk_->crashed()) return;  // settle() sees it
  if (!opened) {
    const std::string why = opened.error().describe();
    if (opened.error().code() == Errc::kIo && disk_->faults_struck() > 0) return disk_failed(why);
    end_life(Death::kReset);
    disk_->restart();
    // On a new disk that is full there is no room for a directory: whoever runs it tries again.
    if (!made_ && opened.error().code() == Errc::kNoSpace) return watcher_.on_down(*this);
    watcher_.on_refused(*this, why);
    return;
  }
  made_ = true;
  world_.tell(TraceKind::kBoot, number_, opened->groups, opened->halted, [&opened] {
    return fmt::format("{} groups, {} halted, {} bytes of log{}", opened->groups, opened->halted,
                       opened->log_bytes, opened->made ? ", new" : "");
  });
  if (opened->halted > opened->mending && disk_->faults_struck() > 0) {
    return disk_failed("a group could not be read");
  }
  if (opened->halted > opened->mending) {
    watcher_.on_refused(*this, fmt::format("{} groups are halted", opened->halted));
  }
  life.services.emplace(
      server::ServiceContext{.router = life.host->router(),
                             .facts = {},
                             .address_of = [](NodeId node) -> std::optional<std::string> {
                               return node_address(node.value() - 1);
                             }});
  // A node whose catalogue has to be repaired talks to the others before it serves anybody.
  if (opened->mending > 0) network_.join(number_, *this);
  life.host->start([this] { serve(); });
}

void SimNode::serve() {
  Life& life = *life_;
  CHECK(life.services.has_value());
  life.server =
      std::make_unique<SimServer>(*this, network_, *life.services,
                                  SimServerOptions{.identity = life.host->identity(),
                                                   .outstanding_max = plan_.outstanding_max});
  state_ = State::kServing;
  network_.join(number_, *this);
  world_.note(TraceKind::kServing, number_, life_number_);
}

void SimNode::later(Moment delay, EventQueue::Action action) {
  world_.queue.after(delay, [this, life = life_number_, moved = std::move(action)]() mutable {
    if (life == life_number_) run(std::move(moved));
  });
}

void SimNode::run(EventQueue::Action action) {
  if (paused_) {
    deferred_.push_back(std::move(action));
    return;
  }
  action();
  settle();
}

bool SimNode::lost_a_group() {
  if (!life_ || !life_->host || disk_->faults_struck() == 0) return false;
  return std::ranges::any_of(life_->host->replicas(), [](const server::Replica* replica) {
    return replica->core().damaged();
  });
}

void SimNode::settle() {
  // A group that halts over a read that failed serves again after a start, as the runbook says.
  if (disk_->crashed() || death_ || lost_a_group()) {
    // After a failed write the page cache shows what may never reach the disk, so the runbook has
    // the machine started anew (docs/operating/disk-failure.md).
    const bool tears = random_.chance(1, 4);
    power_cut({.data = random_.chance(1, 3) ? Survival::kNone : Survival::kRandom,
               .names = random_.chance(1, 3) ? Survival::kNone : Survival::kRandom,
               .tear_last_sector = tears});
    watcher_.on_down(*this);
  } else if (std::exchange(stopped_, false)) {
    kill();
    watcher_.on_down(*this);
  } else if (life_) {
    watcher_.on_settled(*this);
  }
}

void SimNode::end_life(Death death) {
  ++life_number_;
  network_.die(number_, death);
  deferred_.clear();
  life_.reset();
  death_.reset();
  stopped_ = false;
  paused_ = false;
  state_ = State::kDown;
}

void SimNode::power_cut(const CrashImage& image) {
  CHECK(state_ != State::kDown);
  world_.tell(TraceKind::kCrash, number_, 1, life_number_,
              [this] { return "power cut " + death_.value_or(""); });
  end_life(random_.chance(1, 2) ? Death::kSilent : Death::kReset);
  disk_ = disk_->crash(random_.next(), image);
  clock_.reboot(draw_between(random_, 1'000'000, 1'000'000'000), world_.now());
}

const SimDisk* SimNode::disk_of(const ReplicaId& member) const {
  if (member == self_) return disk_.get();
  const auto lost = lost_.find(member);
  return lost == lost_.end() ? nullptr : lost->second.get();
}

Index SimNode::proven(GroupId group) {
  const auto copy = disk_->clone();
  const auto root = copy->root();
  const auto loaded = storage::load_identity(*root);
  const auto identity = loaded.value_or(std::nullopt);
  if (!identity) return {};
  const auto images = root->open_directory(storage::kImagesDirectoryName);
  auto directory = images ? (*images)->open_directory(server::group_directory_name(group))
                          : std::unexpected(images.error());
  if (!directory) return {};
  SimPorts ports(*this, 0);
  const server::Checkpoints checkpoints(group, storage::group_incarnation(identity->cluster, group),
                                        *store_, *std::move(directory), ports);
  const auto evidence = checkpoints.evidence();
  return evidence ? evidence->index : Index();
}

void SimNode::wipe(Comeback comeback) {
  world_.tell(TraceKind::kCrash, number_, 3, life_number_, [] { return "its disk is lost"; });
  if (state_ != State::kDown) {
    end_life(random_.chance(1, 2) ? Death::kSilent : Death::kReset);
    clock_.reboot(draw_between(random_, 1'000'000, 1'000'000'000), world_.now());
  }
  auto lost = std::exchange(disk_, std::make_unique<SimDisk>(plan_.disk));
  made_ = false;
  lose_state_store();
  if (comeback == Comeback::kSameMember) return;
  lost_.emplace(self_, std::move(lost));
  self_ = replica_of(number_, lost_.size());
}

void SimNode::kill() {
  CHECK(state_ != State::kDown);
  world_.tell(TraceKind::kCrash, number_, 0, life_number_, [] { return "process ends"; });
  end_life(Death::kReset);
  disk_->restart();
}

void SimNode::stop() {
  if (state_ != State::kServing || paused_ || life_->stopping) return;
  life_->stopping = true;
  world_.note(TraceKind::kCrash, number_, 2, life_number_);
  life_->server->drain();
  life_->host->stop([this] { stopped_ = true; });
  // The process does not wait for ever.
  later(kStopMax, [this] { stopped_ = true; });
}

void SimNode::pause() {
  if (state_ == State::kDown) return;
  world_.note(TraceKind::kPause, number_, 1);
  paused_ = true;
}

void SimNode::resume() {
  if (!paused_) return;
  world_.note(TraceKind::kPause, number_, 0);
  paused_ = false;
  for (EventQueue::Action& action : std::exchange(deferred_, {})) later(0, std::move(action));
}

void SimNode::set_pace(const DiskPace& pace) {
  pace_ = pace;
  if (life_) life_->pools->set_pace(pace);
}

void SimNode::send(const net::PeerMessage& message) {
  watcher_.on_send(*this, message);
  if (const auto* const raft = std::get_if<raft::Message>(&message.body)) {
    world_.tell(TraceKind::kSend, number_, message.group.value(), raft->body.index(), [&] {
      return fmt::format("group {}: {}", message.group.value(), raft::describe(*raft));
    });
  }
  net::EncodedPeerMessage encoded = net::encode_peer_message(message);
  for (const Payload& payload : encoded.payload) {
    const Bytes bytes = payload.bytes();
    encoded.head.insert(encoded.head.end(), bytes.begin(), bytes.end());
  }
  // To the node, whoever it is by now.
  const bool sent = network_.send_message(number_, message.to().node.value() - 1,
                                          std::move(encoded.head), kind_of(message));
  // As where a connection breaks: now and then, and a while later.
  if (sent || !draw_chance(random_, kUnreachableRate)) return;
  later(draw_between(random_, 0, kUnreachableMost), [this, to = message.to()] {
    if (host() != nullptr) host()->unreachable(to);
  });
}

void SimNode::on_message(std::vector<std::byte> bytes) {
  run([this, moved = std::move(bytes)] {
    net::MessageReader& reader = reader_;
    auto received = reader.next();
    for (Bytes rest(moved); !rest.empty() && received;) {
      const std::span<std::byte> room = reader.prepare();
      const std::size_t count = std::min(room.size(), rest.size());
      std::memcpy(room.data(), rest.data(), count);
      reader.commit(count);
      rest = rest.subspan(count);
      received = reader.next();
    }
    // What fails its checksum ends the connection between nodes, and with it the message.
    if (!received || !*received || !reader.at_boundary()) {
      reader = net::MessageReader(net::kPeerLimits);
      return;
    }
    auto message = net::decode_peer_message((*received)->header, (*received)->payload);
    if (message) life_->host->receive(std::move(*message));
  });
}

void SimNode::disk_failed(std::string text) {
  if (!death_) death_ = std::move(text);
}

void SimNode::report(server::Severity severity, const std::string& text) {
  world_.tell(TraceKind::kReport, number_, static_cast<std::uint64_t>(severity), text_hash(text),
              [&text] { return text; });
}

void SimNode::on_stream_opened(StreamNumber stream) {
  run([this, stream] {
    if (!life_->server) return network_.close(number_, stream);
    life_->server->open(stream);
  });
}

void SimNode::on_stream_bytes(StreamNumber stream, std::vector<std::byte> bytes) {
  run([this, stream, moved = std::move(bytes)] {
    if (life_->server) life_->server->receive(stream, moved);
  });
}

void SimNode::on_stream_closed(StreamNumber stream) {
  run([this, stream] {
    if (life_->server) life_->server->close(stream);
  });
}

}  // namespace lignum::jepsen
