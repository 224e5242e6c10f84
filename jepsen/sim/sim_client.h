#pragma once

// A client process in a simulated world: the real connection, producer and tail cores, between a
// user's calls and the network.
//
// Does what net/client_shell.h does with Asio: carries out effects, delivers outcomes, keeps the
// timer. Owned by its user; everything it calls back comes from events, and from inside a call of
// its own. When it is destroyed its connections break, as those of a process that was killed; no
// outcome is told then.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/world.h"
#include "net/call.h"
#include "net/client.h"
#include "net/client_core.h"
#include "net/connection_core.h"
#include "net/message.h"
#include "net/producer.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "net/tail_reader.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::jepsen {

struct SimClientOptions {
  HostNumber host = 0;
  std::vector<std::string> endpoints;
  std::string name;
  std::uint64_t seed = 0;
  net::ProducerSettings producer;
};

// A tail that somebody follows.
class SimTail {
 public:
  SimTail(std::uint64_t the_number, net::TailReader::Options options)
      : number(the_number), reader(std::move(options)) {}
  // Of this client: what comes late for an earlier one is not taken for this one's, though it may
  // lie where that lay.
  const std::uint64_t number;
  net::TailReader reader;
  // Something came; read with reader.next().
  std::function<void(SimTail&)> on_news;
  // The client forgets it at its next turn.
  bool closed = false;
};

class SimClient final : public StreamUser {
 public:
  // World and network outlive it.
  SimClient(World& world, SimNetwork& network, SimClientOptions options);
  ~SimClient() override;
  SimClient(const SimClient&) = delete;
  SimClient& operator=(const SimClient&) = delete;

  // One request; its end is told to call.done.
  void call(net::Call call);
  // Fails as Producer::append; else `done` is told.
  Result<void> append(std::string_view stream, const Record& record, Client::AppendCallback done);
  Result<void> append_expecting(std::string_view stream, ShardNumber shard, Offset expected,
                                const std::vector<Record>& records, Client::AppendCallback done);
  SimTail& open_tail(const TailOptions& options, std::function<void(SimTail&)> on_news);
  // Bytes of records without an outcome.
  [[nodiscard]] std::size_t buffered_bytes() const { return producer_.buffered_bytes(); }

  void on_stream_opened(StreamNumber stream) override;
  void on_stream_bytes(StreamNumber stream, std::vector<std::byte> bytes) override;
  void on_stream_closed(StreamNumber stream) override;
  // Clients get none.
  void on_message(std::vector<std::byte> /*bytes*/) override {}

 private:
  using ConnectionId = net::ClientCore::ConnectionId;
  struct Socket {
    ConnectionId connection = 0;
    std::uint64_t generation = 0;
    net::MessageReader reader{net::MessageLimits{}};
    std::vector<std::byte> output;
  };

  // Everything that is due, until nothing is.
  void turn();
  bool turn_core();
  bool turn_producer();
  bool turn_tails();
  void carry_out(net::ClientCore::Effect effect);
  void flush();
  void send_batches(std::vector<net::SendBatch> sends);
  void resolve(const std::string& name);
  void init_producer();
  void turn_tail(SimTail& tail);
  void arm();
  void lose(StreamNumber stream, const Error& error);
  [[nodiscard]] net::Producer::Now producer_now() const;

  World& world_;
  SimNetwork& network_;
  const SimClientOptions options_;
  net::ClientCore core_;
  net::Producer producer_;
  std::map<StreamNumber, Socket> sockets_;
  std::map<ConnectionId, StreamNumber> streams_;
  std::uint64_t last_tail_ = 0;
  std::list<SimTail> tails_;
  bool turning_ = false;
  std::optional<Moment> armed_for_;
  // Events that come later find out with it whether this still exists.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lignum::jepsen
