#include "jepsen/sim/workload.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/user.h"
#include "jepsen/sim/world.h"
#include "net/call.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/types.h"

namespace lignum::jepsen {

Workload::Workload(World& world, SimNetwork& network, HostNumber nodes, const WorkloadPlan& plan)
    : world_(world), network_(network), nodes_(nodes), plan_(plan) {}

Workload::~Workload() = default;

std::vector<std::string> Workload::endpoints() const {
  std::vector<std::string> all;
  all.reserve(nodes_);
  for (HostNumber node = 0; node < nodes_; ++node) all.push_back(node_address(node));
  return all;
}

void Workload::begin() {
  CHECK(users_.empty() && plan_.users > 0);
  for (std::uint32_t number = 0; number < plan_.users; ++number) {
    users_.push_back(std::make_unique<User>(*this, nodes_ + number, number));
  }
  create(0);
}

void Workload::create(std::size_t stream) {
  if (stream == plan_.streams) {
    running_ = true;
    for (const auto& user : users_) user->begin();
    return;
  }
  const std::string name = fmt::format("stream-{}", stream);
  net::Call call;
  call.request.mutable_create_stream()->set_name(name);
  call.request.mutable_create_stream()->set_shards(plan_.shards);
  call.deadline = world_.now() + 10 * net::kSecond;
  call.done = [this, stream, name](const net::CallResult& result) {
    if (result.error || !result.response.has_create_stream()) {
      world_.queue.after(100 * net::kMillisecond, [this, stream] { create(stream); });
      return;
    }
    streams_.push_back({.name = name,
                        .id = StreamId(result.response.create_stream().stream().id()),
                        .shards = plan_.shards});
    create(stream + 1);
  };
  users_.front()->client().call(std::move(call));
}

void Workload::quiet() {
  for (const auto& user : users_) user->quiet();
}

void Workload::probe(std::function<void()> done) {
  const auto left = std::make_shared<std::size_t>(users_.size() * plan_.streams * plan_.shards);
  const auto ended = std::make_shared<std::function<void()>>(std::move(done));
  for (const auto& user : users_) {
    user->probe([left, ended] {
      if (--*left == 0) (*ended)();
    });
  }
}

bool Workload::idle() const {
  return std::ranges::all_of(users_, [](const auto& user) { return user->idle(); });
}

void Workload::finish() {
  for (const auto& user : users_) user->finish();
}

void Workload::kill_client(std::uint32_t user) {
  if (running_) users_.at(user)->kill_client();
}

}  // namespace lignum::jepsen
