#pragma once

// One direction between two hosts, and what may happen to what goes over it.
//
// A value of SimNetwork, which has one for every ordered pair of hosts: so that a partition may be
// asymmetric. Rates are per million.

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "net/moment.h"

namespace lignum::jepsen {

using Moment = net::Moment;

struct LinkWeather {
  Moment delay_least = 50;
  Moment delay_most = 500;
  // Now and then something takes `tail` longer.
  std::uint32_t tail_rate = 0;
  Moment tail = 50'000;
  // Of a message: it vanishes. Of bytes in a stream: they come late, as TCP sends them again.
  std::uint32_t loss_rate = 0;
  // Of messages only: twice; one of long ago again; not in the order in which they were sent.
  std::uint32_t duplicate_rate = 0;
  std::uint32_t replay_rate = 0;
  std::uint32_t reorder_rate = 0;
  // A bit turns over on the way, unnoticed by the network.
  std::uint32_t corrupt_rate = 0;
  // Of streams only: the connection breaks.
  std::uint32_t reset_rate = 0;
};

struct Link {
  LinkWeather weather;
  // Nothing gets through.
  bool cut = false;
  // Nothing gets through until then.
  Moment clogged_until = 0;
  // Of the messages that keep their order.
  Moment last_arrival = 0;
  // A message of each kind that went over it once, for weather in which such come again: those that
  // are seldom sent come again as often as the others.
  std::map<std::size_t, std::vector<std::byte>> remembered;

  [[nodiscard]] bool blocked(Moment now) const { return cut || now < clogged_until; }
};

}  // namespace lignum::jepsen
