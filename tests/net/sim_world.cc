#include "tests/net/sim_world.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <utility>
#include <variant>
#include <vector>

#include "net/client_core.h"
#include "net/connection_core.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "tests/net/model_cluster.h"

namespace lignum::net {

SimWorld::SimWorld(std::uint64_t seed, SimFaults world_faults)
    : faults(world_faults),
      random_(seed),
      core_({.endpoints = {"a:1", "b:1"},
             .client_name = "sim",
             .connect_timeout = kSecond,
             .backoff = {.first = 5 * kMillisecond, .most = 50 * kMillisecond},
             .seed = seed}) {}

void SimWorld::at(Moment when, std::function<void()> what) {
  events_.emplace(std::pair(std::max(when, now_), next_event_++), std::move(what));
}

bool SimWorld::run(const std::function<bool()>& done, Moment limit) {
  pump();
  while (!done()) {
    const Moment event = events_.empty() ? kMomentMax : events_.begin()->first.first;
    const Moment next = std::min({event, core_.next_wakeup(), client_wakeup_});
    if (next > limit) {
      return false;
    }
    now_ = std::max(now_, next);
    cluster.set_wall(1'000'000'000 + now_);
    if (core_.next_wakeup() <= now_) {
      core_.on_tick(now_);
    } else if (event <= now_) {
      auto what = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      what();
    }
    pump();
  }
  return true;
}

void SimWorld::pump() {
  while (true) {
    client_wakeup_ = client_turn();
    auto effects = core_.take_effects();
    for (auto& effect : effects) {
      carry_out(std::move(effect));
    }
    auto ended = core_.take_ended();
    for (auto& end : ended) {
      end.done(std::move(end.result));
    }
    if (effects.empty() && ended.empty()) {
      return;
    }
  }
}

void SimWorld::carry_out(ClientCore::Effect effect) {
  const auto connection = effect.connection;
  Link& link = links_[connection];
  if (const auto* open = std::get_if<ConnectionCore::OpenSocket>(&effect.what)) {
    link = {.generation = open->generation, .alive = true, .last_arrival = now_};
    const bool refused = chance(faults.refuse_connect);
    at(now_ + delay(), [this, connection, generation = open->generation, refused] {
      if (refused) {
        links_[connection].alive = false;
        core_.on_lost(connection, generation, Error(Errc::kUnavailable, "refused"), now_);
      } else {
        core_.on_connected(connection, generation, now_);
      }
    });
  } else if (auto* send = std::get_if<ConnectionCore::SendMessage>(&effect.what)) {
    // One connection keeps the order of what it carries.
    link.last_arrival = std::max(link.last_arrival, now_ + delay());
    at(link.last_arrival,
       [this, connection, generation = send->generation, request = send->request,
        payload = send->payload] { arrive(connection, generation, request, payload); });
    if (!send->request.has_hello() && chance(faults.lose_connection)) {
      at(now_ + delay(), [this, connection, generation = send->generation] {
        Link& broken = links_[connection];
        if (broken.generation == generation && broken.alive) {
          broken.alive = false;
          core_.on_lost(connection, generation, Error(Errc::kUnavailable, "broken"), now_);
        }
      });
    }
  } else {
    link.alive = false;
  }
}

void SimWorld::arrive(ClientCore::ConnectionId connection, std::uint64_t generation,
                      const wire::Request& request, const Payload& payload) {
  if (swallows(request)) {
    return;
  }
  const Link& link = links_[connection];
  if (link.alive && link.generation == generation) {
    serve(connection, generation, request, payload);
    return;
  }
  // The sender has given this up; it may still come, and late.
  if (chance(500)) {
    const auto late = static_cast<Moment>(draw(static_cast<std::uint64_t>(faults.limbo_max)));
    at(now_ + late, [this, request, payload] {
      cluster.handle(request, payload.bytes());
      cluster_changed();
    });
  }
}

bool SimWorld::disturb(ClientCore::ConnectionId connection, std::uint64_t generation,
                       const wire::Request& request, const Payload& payload) {
  static constexpr std::array kPassing = {Errc::kOverloaded, Errc::kNotLeader, Errc::kUnavailable,
                                          Errc::kNoSpace, Errc::kTimeout};
  const bool data = request.has_append() || request.has_read() || request.has_offsets();
  if (data && chance(faults.refuse)) {
    answer(connection, generation,
           ModelCluster::failure(request, kPassing.at(draw(kPassing.size()))));
    return true;
  }
  if (request.has_append() && chance(faults.evict)) {
    cluster.evict(StreamId(request.append().stream()), request.append().shard());
  }
  if (!request.has_append() || !chance(faults.unknown)) return false;
  if (chance(500)) {
    cluster.handle(request, payload.bytes());
    cluster_changed();
  }
  answer(connection, generation, ModelCluster::failure(request, Errc::kUnknownOutcome));
  return true;
}

void SimWorld::park(ClientCore::ConnectionId connection, std::uint64_t generation,
                    const wire::Request& request) {
  parked_.push_back({.connection = connection, .generation = generation, .request = request});
  // A poll ends when its wait has passed.
  at(now_ + request.read().wait_ms() * kMillisecond,
     [this, connection, generation, id = request.id()] {
       std::vector<Parked> due;
       std::erase_if(parked_, [&](const Parked& parked) {
         const bool mine = parked.connection == connection && parked.generation == generation &&
                           parked.request.id() == id;
         if (mine) due.push_back(parked);
         return mine;
       });
       for (Parked& parked : due) {
         parked.request.mutable_read()->set_wait_ms(0);
         if (auto late = cluster.handle(parked.request, {})) answer(connection, generation, *late);
       }
     });
}

void SimWorld::serve(ClientCore::ConnectionId connection, std::uint64_t generation,
                     const wire::Request& request, const Payload& payload) {
  if (disturb(connection, generation, request, payload)) return;
  auto answered = cluster.handle(request, payload.bytes());
  if (!answered) {
    park(connection, generation, request);
    return;
  }
  if (request.has_append() || (request.has_read() && request.read().has_close_us())) {
    cluster_changed();
  }
  answer(connection, generation, *answered);
}

void SimWorld::cluster_changed() {
  std::vector<Parked> still;
  for (Parked& parked : std::exchange(parked_, {})) {
    if (auto answered = cluster.handle(parked.request, {})) {
      answer(parked.connection, parked.generation, *answered);
    } else {
      still.push_back(std::move(parked));
    }
  }
  parked_ = std::move(still);
}

void SimWorld::answer(ClientCore::ConnectionId connection, std::uint64_t generation,
                      const ModelCluster::Answer& answer) {
  const int times = chance(faults.repeat_answer) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    at(now_ + delay(), [this, connection, generation, answer] {
      const Link& link = links_[connection];
      if (link.alive && link.generation == generation) {
        core_.on_message(connection, generation, answer.response, answer.payload, now_);
      }
    });
  }
}

}  // namespace lignum::net
