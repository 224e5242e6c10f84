#pragma once

// The network of a simulated world: streams of bytes, as TCP has them, and single messages, over
// links that misbehave.
//
// Hosts are numbered: nodes first, then clients. Every ordered pair has a Link. A stream keeps the
// order of its bytes and loses none, but they may come late, in other pieces, with a bit turned
// over, or the stream may break; where a link is blocked they wait, and after a while the stream
// gives up. A message between nodes may be lost, doubled, come late and out of order, again when it
// is long forgotten, or with a bit turned over. A host that died takes its ends with it: the other
// end hears of it at once, or (after a power cut) not before the host is up again and something is
// sent to it.
//
// Owned by a Run. Users are told from events, never from inside their own calls; a user outlives
// the network or takes itself away (die).

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "jepsen/sim/link.h"
#include "jepsen/sim/world.h"
#include "raft/random.h"

namespace lignum::jepsen {

using HostNumber = std::uint32_t;
using StreamNumber = std::uint64_t;

class StreamUser {
 public:
  virtual ~StreamUser() = default;
  // At the host that listens: somebody has connected. At the other: the connection stands.
  virtual void on_stream_opened(StreamNumber stream) = 0;
  virtual void on_stream_bytes(StreamNumber stream, std::vector<std::byte> bytes) = 0;
  // Refused, broken or closed by the other end.
  virtual void on_stream_closed(StreamNumber stream) = 0;
  // Of another node.
  virtual void on_message(std::vector<std::byte> bytes) = 0;
};

// How a host goes.
enum class Death : std::uint8_t {
  kReset,   // the process dies, the machine says so
  kSilent,  // the machine dies
};

class SimNetwork {
 public:
  // Bytes that wait in one direction of a stream; beyond it the stream breaks.
  static constexpr std::size_t kHeldBytesMax = std::size_t{64} << 20;

  SimNetwork(World& world, std::size_t hosts);

  [[nodiscard]] std::size_t hosts() const { return hosts_.size(); }
  [[nodiscard]] Link& link(HostNumber from, HostNumber to) {
    return links_[from * hosts_.size() + to];
  }
  // From now on: `user` answers for the host. Nodes listen, clients connect.
  void join(HostNumber host, StreamUser& user);
  // The host is gone, with its ends of all streams, until it joins again.
  void die(HostNumber host, Death death);

  // Opens a stream; its fate comes as on_stream_opened or on_stream_closed.
  StreamNumber connect(HostNumber from, HostNumber to);
  // Sends from the end at `host`. Nothing happens where that end is closed.
  void send(HostNumber host, StreamNumber stream, std::vector<std::byte> bytes);
  // The other end is told behind what was sent.
  void close(HostNumber host, StreamNumber stream);

  // Sends one message to another host, or loses it. `kind`: what the sender tells apart. False:
  // there was no way, or nobody.
  bool send_message(HostNumber from, HostNumber to, std::vector<std::byte> bytes,
                    std::size_t kind = 0);

  // No link is cut or clogged any more.
  void heal();

 private:
  enum class ItemKind : std::uint8_t { kOpen, kBytes, kClose };
  struct Item {
    ItemKind kind = ItemKind::kBytes;
    std::vector<std::byte> bytes;
  };
  // What goes to one end.
  struct Direction {
    // While the link is blocked.
    std::deque<Item> held;
    std::size_t held_bytes = 0;
    Moment held_since = 0;
    Moment last_arrival = 0;
    bool open = false;  // the end that is gone to
  };
  struct Stream {
    // The end that connected, and the end that listens.
    std::array<HostNumber, 2> ends{};
    std::array<Direction, 2> to;
  };
  struct Host {
    StreamUser* user = nullptr;
    Death death = Death::kReset;
  };

  [[nodiscard]] Link& link_to(const Stream& stream, std::size_t end) {
    return link(stream.ends.at(1 - end), stream.ends.at(end));
  }
  void turn_a_bit(std::vector<std::byte>& bytes);
  void pass_message(HostNumber from, HostNumber to, std::vector<std::byte> bytes);
  [[nodiscard]] Moment draw_delay(const LinkWeather& weather);
  void enqueue(StreamNumber number, std::size_t end, Item item);
  // Puts an item on its way.
  void pass(StreamNumber number, std::size_t end, Item item);
  void arrive(StreamNumber number, std::size_t end, Item item);
  void deliver(Stream& stream, StreamNumber number, std::size_t end, Item item);
  void accept(StreamNumber number, Stream& stream);
  // Looks whether what is held may go.
  void retry(StreamNumber number, std::size_t end);
  // Both ends hear that it is over.
  void break_stream(StreamNumber number);
  void forget_if_closed(StreamNumber number);

  World& world_;
  Random random_;
  std::vector<Host> hosts_;
  std::vector<Link> links_;
  StreamNumber next_stream_ = 1;
  std::map<StreamNumber, Stream> streams_;
};

}  // namespace lignum::jepsen
