#include "jepsen/sim/sim_network.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "jepsen/sim/link.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"

namespace lignum::jepsen {

namespace {

constexpr Moment kRetransmission = 200 * net::kMillisecond;
constexpr Moment kRetryPause = 100 * net::kMillisecond;
// How long a stream waits for a link that is blocked.
constexpr Moment kGiveUp = 20 * net::kSecond;
constexpr std::uint32_t kSplitRate = 60'000;

}  // namespace

SimNetwork::SimNetwork(World& world, std::size_t hosts)
    : world_(world), random_(world.stream("network")), hosts_(hosts), links_(hosts * hosts) {}

void SimNetwork::join(HostNumber host, StreamUser& user) { hosts_.at(host).user = &user; }

void SimNetwork::die(HostNumber host, Death death) {
  hosts_.at(host) = {.user = nullptr, .death = death};
  std::vector<StreamNumber> touched;
  for (auto& [number, stream] : streams_) {
    for (std::size_t end = 0; end < 2; ++end) {
      if (stream.ends.at(end) != host || !stream.to.at(end).open) continue;
      stream.to.at(end).open = false;
      touched.push_back(number);
      if (death == Death::kReset) enqueue(number, 1 - end, {.kind = ItemKind::kClose, .bytes = {}});
    }
  }
  for (const StreamNumber number : touched) forget_if_closed(number);
}

StreamNumber SimNetwork::connect(HostNumber from, HostNumber to) {
  const StreamNumber number = next_stream_++;
  Stream& stream = streams_[number];
  stream.ends = {from, to};
  stream.to[0].open = true;
  enqueue(number, 1, {.kind = ItemKind::kOpen, .bytes = {}});
  return number;
}

void SimNetwork::send(HostNumber host, StreamNumber number, std::vector<std::byte> bytes) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const std::size_t own = stream.ends[0] == host ? 0 : 1;
  if (!stream.to.at(own).open) return;
  const LinkWeather& weather = link_to(stream, 1 - own).weather;
  if (draw_chance(random_, weather.reset_rate)) {
    ++world_.faults["connection broken"];
    break_stream(number);
    return;
  }
  if (draw_chance(random_, weather.corrupt_rate)) turn_a_bit(bytes);
  enqueue(number, 1 - own, {.kind = ItemKind::kBytes, .bytes = std::move(bytes)});
}

void SimNetwork::close(HostNumber host, StreamNumber number) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const std::size_t own = stream.ends[0] == host ? 0 : 1;
  if (!std::exchange(stream.to.at(own).open, false)) return;
  enqueue(number, 1 - own, {.kind = ItemKind::kClose, .bytes = {}});
  forget_if_closed(number);
}

void SimNetwork::turn_a_bit(std::vector<std::byte>& bytes) {
  if (bytes.empty()) return;
  ++world_.faults["bit turned over in flight"];
  const std::uint64_t bit = random_.below(bytes.size() * 8);
  bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
}

bool SimNetwork::send_message(HostNumber from, HostNumber to, std::vector<std::byte> bytes,
                              std::size_t kind) {
  Link& way = link(from, to);
  const LinkWeather& weather = way.weather;
  if (way.cut || draw_chance(random_, weather.loss_rate)) {
    ++world_.faults["message lost"];
    return !way.cut;
  }
  if (weather.replay_rate > 0) {
    if (!way.remembered.empty() && draw_chance(random_, weather.replay_rate)) {
      ++world_.faults["message replayed"];
      const auto which = static_cast<std::ptrdiff_t>(random_.below(way.remembered.size()));
      pass_message(from, to, std::next(way.remembered.begin(), which)->second);
    }
    const auto [at, fresh] = way.remembered.try_emplace(kind);
    if (fresh || random_.chance(1, 8)) at->second = bytes;
  }
  if (draw_chance(random_, weather.duplicate_rate)) {
    ++world_.faults["message doubled"];
    pass_message(from, to, bytes);
  }
  if (draw_chance(random_, weather.corrupt_rate)) turn_a_bit(bytes);
  pass_message(from, to, std::move(bytes));
  return hosts_.at(to).user != nullptr;
}

void SimNetwork::pass_message(HostNumber from, HostNumber to, std::vector<std::byte> bytes) {
  Link& way = link(from, to);
  const Moment begins = std::max(world_.now(), way.clogged_until);
  Moment arrives = begins + draw_delay(way.weather);
  if (draw_chance(random_, way.weather.reorder_rate)) {
    ++world_.faults["message out of order"];
  } else {
    arrives = way.last_arrival = std::max(way.last_arrival, arrives);
  }
  world_.queue.at(arrives, [this, to, moved = std::move(bytes)]() mutable {
    const Host& host = hosts_.at(to);
    world_.note(TraceKind::kPacket, to, 0, moved.size());
    if (host.user != nullptr) host.user->on_message(std::move(moved));
  });
}

void SimNetwork::heal() {
  for (Link& link : links_) {
    link.cut = false;
    link.clogged_until = 0;
  }
}

Moment SimNetwork::draw_delay(const LinkWeather& weather) {
  Moment delay = draw_between(random_, weather.delay_least, weather.delay_most);
  if (draw_chance(random_, weather.tail_rate)) {
    ++world_.faults["long delay"];
    delay += draw_between(random_, 0, weather.tail);
  }
  return delay;
}

void SimNetwork::enqueue(StreamNumber number, std::size_t end, Item item) {
  Stream& stream = streams_.at(number);
  Direction& direction = stream.to.at(end);
  if (direction.held.empty() && !link_to(stream, end).blocked(world_.now())) {
    pass(number, end, std::move(item));
    return;
  }
  if (direction.held.empty()) {
    direction.held_since = world_.now();
    world_.queue.after(kRetryPause, [this, number, end] { retry(number, end); });
  }
  direction.held_bytes += item.bytes.size();
  direction.held.push_back(std::move(item));
  if (direction.held_bytes > kHeldBytesMax) break_stream(number);
}

void SimNetwork::retry(StreamNumber number, std::size_t end) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Direction& direction = found->second.to.at(end);
  if (direction.held.empty()) return;
  if (link_to(found->second, end).blocked(world_.now())) {
    if (world_.now() - direction.held_since > kGiveUp) {
      break_stream(number);
    } else {
      world_.queue.after(kRetryPause, [this, number, end] { retry(number, end); });
    }
    return;
  }
  direction.held_bytes = 0;
  for (Item& item : std::exchange(direction.held, {})) pass(number, end, std::move(item));
}

void SimNetwork::pass(StreamNumber number, std::size_t end, Item item) {
  Stream& stream = streams_.at(number);
  const LinkWeather& weather = link_to(stream, end).weather;
  Moment delay = draw_delay(weather);
  if (draw_chance(random_, weather.loss_rate)) {
    ++world_.faults["packet lost"];
    delay += kRetransmission;
  }
  Direction& direction = stream.to.at(end);
  direction.last_arrival = std::max(direction.last_arrival, world_.now() + delay);
  world_.queue.at(direction.last_arrival, [this, number, end, moved = std::move(item)]() mutable {
    arrive(number, end, std::move(moved));
  });
}

void SimNetwork::arrive(StreamNumber number, std::size_t end, Item item) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const HostNumber at = stream.ends.at(end);
  const Host& host = hosts_.at(at);
  world_.note(TraceKind::kPacket, at, number, item.bytes.size());
  if (item.kind == ItemKind::kOpen && end == 1) {
    accept(number, stream);
    return;
  }
  Direction& direction = stream.to.at(end);
  if (direction.open && host.user != nullptr) {
    deliver(stream, number, end, std::move(item));
    return;
  }
  // Nobody there. The machine, where it is up, says so.
  const bool answers = host.user != nullptr || host.death == Death::kReset;
  if (answers && item.kind == ItemKind::kBytes && stream.to.at(1 - end).open) {
    enqueue(number, 1 - end, {.kind = ItemKind::kClose, .bytes = {}});
  }
}

void SimNetwork::accept(StreamNumber number, Stream& stream) {
  const Host& host = hosts_.at(stream.ends[1]);
  if (host.user == nullptr) {
    if (host.death == Death::kReset) enqueue(number, 0, {.kind = ItemKind::kClose, .bytes = {}});
    return;
  }
  if (!stream.to[0].open) return;
  stream.to[1].open = true;
  world_.note(TraceKind::kStream, stream.ends[1], number, 1);
  enqueue(number, 0, {.kind = ItemKind::kOpen, .bytes = {}});
  host.user->on_stream_opened(number);
}

void SimNetwork::deliver(Stream& stream, StreamNumber number, std::size_t end, Item item) {
  StreamUser& user = *hosts_.at(stream.ends.at(end)).user;
  switch (item.kind) {
    case ItemKind::kOpen:
      user.on_stream_opened(number);
      return;
    case ItemKind::kClose:
      stream.to.at(end).open = false;
      world_.note(TraceKind::kStream, stream.ends.at(end), number, 0);
      forget_if_closed(number);
      user.on_stream_closed(number);
      return;
    case ItemKind::kBytes:
      break;
  }
  if (item.bytes.size() > 1 && draw_chance(random_, kSplitRate)) {
    const auto cut = static_cast<std::ptrdiff_t>(1 + random_.below(item.bytes.size() - 1));
    std::vector<std::byte> rest(item.bytes.begin() + cut, item.bytes.end());
    item.bytes.resize(static_cast<std::size_t>(cut));
    user.on_stream_bytes(number, std::move(item.bytes));
    if (const auto still = streams_.find(number);
        still != streams_.end() && still->second.to.at(end).open) {
      user.on_stream_bytes(number, std::move(rest));
    }
    return;
  }
  user.on_stream_bytes(number, std::move(item.bytes));
}

void SimNetwork::break_stream(StreamNumber number) {
  Stream& stream = streams_.at(number);
  for (std::size_t end = 0; end < 2; ++end) {
    Direction& direction = stream.to.at(end);
    direction.held.clear();
    direction.held_bytes = 0;
    if (!direction.open) continue;
    // What is on its way still comes.
    pass(number, end, {.kind = ItemKind::kClose, .bytes = {}});
  }
  forget_if_closed(number);
}

void SimNetwork::forget_if_closed(StreamNumber number) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  const Stream& stream = found->second;
  // One that never stood has no end that listens.
  if (!stream.to[0].open && !stream.to[1].open) streams_.erase(found);
}

}  // namespace lignum::jepsen
