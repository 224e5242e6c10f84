#include "jepsen/sim/sim_client.h"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/sim_clock.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/world.h"
#include "net/call.h"
#include "net/client.h"
#include "net/client_core.h"
#include "net/connection_core.h"
#include "net/message.h"
#include "net/moment.h"
#include "net/producer.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "net/proto/client.pb.h"
#include "net/tail_reader.h"
#include "net/tail_shard.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

net::ClientCore::Options core_options(const SimClientOptions& options) {
  return {.endpoints = options.endpoints,
          .client_name = options.name,
          .connect_timeout = 2 * net::kSecond,
          .backoff = {},
          .seed = options.seed};
}

}  // namespace

SimClient::SimClient(World& world, SimNetwork& network, SimClientOptions options)
    : world_(world),
      network_(network),
      options_(std::move(options)),
      core_(core_options(options_)),
      producer_({.settings = options_.producer, .seed = options_.seed + 1}) {
  network_.join(options_.host, *this);
  core_.start([](const std::optional<Error>&) {}, world_.now());
  turn();
}

SimClient::~SimClient() {
  *alive_ = false;
  network_.die(options_.host, Death::kReset);
}

net::Producer::Now SimClient::producer_now() const {
  return {.moment = world_.now(), .wall = (SimClock::kEpochUs + world_.now()) / 1000};
}

void SimClient::call(net::Call call) {
  core_.call(std::move(call), world_.now());
  turn();
}

Result<void> SimClient::append(std::string_view stream, const Record& record,
                               Client::AppendCallback done) {
  std::vector<FieldView> fields;
  fields.reserve(record.fields.size());
  for (const Field& field : record.fields) {
    fields.push_back({.name = field.name, .value = field.value});
  }
  std::optional<Bytes> key;
  if (record.key) key = Bytes(*record.key);
  TRY(producer_.append(stream,
                       {.time = record.time,
                        .key = key,
                        .value = record.value,
                        .level = record.level,
                        .fields = fields},
                       {.callback = std::move(done)}, producer_now()));
  turn();
  return {};
}

Result<void> SimClient::append_expecting(std::string_view stream, ShardNumber shard,
                                         Offset expected, const std::vector<Record>& records,
                                         Client::AppendCallback done) {
  TRY(producer_.append_expecting(stream, shard, expected, records, {.callback = std::move(done)},
                                 producer_now()));
  turn();
  return {};
}

SimTail& SimClient::open_tail(const TailOptions& options, std::function<void(SimTail&)> on_news) {
  SimTail& tail = tails_.emplace_back(
      ++last_tail_, net::TailReader::Options{.tail = options,
                                             .request_timeout = 5 * net::kSecond,
                                             .backoff = {},
                                             .seed = options_.seed + world_.queue.steps()});
  tail.on_news = std::move(on_news);
  turn_tail(tail);
  turn();
  return tail;
}

void SimClient::turn() {
  if (std::exchange(turning_, true)) return;
  bool busy = true;
  while (busy) {
    busy = turn_core();
    busy = turn_producer() || busy;
    busy = turn_tails() || busy;
  }
  turning_ = false;
  flush();
  arm();
}

bool SimClient::turn_core() {
  if (core_.next_wakeup() <= world_.now()) core_.on_tick(world_.now());
  auto effects = core_.take_effects();
  for (auto& effect : effects) carry_out(std::move(effect));
  auto ended = core_.take_ended();
  for (auto& end : ended) end.done(std::move(end.result));
  return !effects.empty() || !ended.empty();
}

bool SimClient::turn_producer() {
  if (producer_.wants_turn() || producer_.next_wakeup() <= world_.now()) {
    producer_.turn(world_.now());
  }
  net::Producer::Output output = producer_.take_output();
  const bool busy = !output.sends.empty() || !output.resolve.empty() || output.init_producer ||
                    !output.outcomes.empty();
  send_batches(std::move(output.sends));
  for (const std::string& name : output.resolve) resolve(name);
  if (output.init_producer) init_producer();
  for (const net::AppendOutcome& outcome : output.outcomes) {
    outcome.waiters.deliver(outcome.first);
  }
  return busy;
}

bool SimClient::turn_tails() {
  bool busy = false;
  for (SimTail& tail : tails_) {
    if (tail.closed || (!tail.reader.wants_turn() && tail.reader.next_wakeup() > world_.now())) {
      continue;
    }
    turn_tail(tail);
    busy = true;
  }
  std::erase_if(tails_, [](const SimTail& tail) { return tail.closed; });
  return busy;
}

void SimClient::turn_tail(SimTail& tail) {
  tail.reader.turn(world_.now());
  for (net::TailRequest& request : tail.reader.take_requests()) {
    net::Call call;
    call.request = std::move(request.request);
    call.shard = request.shard;
    call.deadline = request.deadline;
    call.retry = request.retry;
    call.done = [this, number = tail.number, token = request.token](const net::CallResult& result) {
      const auto open = std::ranges::find(tails_, number, &SimTail::number);
      if (open == tails_.end() || open->closed) return;
      open->reader.on_reply(token, result, world_.now());
      turn_tail(*open);
    };
    core_.call(std::move(call), world_.now());
  }
  if (!tail.closed) tail.on_news(tail);
}

void SimClient::carry_out(net::ClientCore::Effect effect) {
  const ConnectionId connection = effect.connection;
  if (const auto* open = std::get_if<net::ConnectionCore::OpenSocket>(&effect.what)) {
    const auto node = node_of_address(open->address);
    const StreamNumber stream = network_.connect(options_.host, node.value_or(0));
    sockets_[stream] = {.connection = connection, .generation = open->generation, .output = {}};
    streams_[connection] = stream;
    return;
  }
  const auto found = streams_.find(connection);
  if (found == streams_.end()) return;
  const StreamNumber stream = found->second;
  if (const auto* send = std::get_if<net::ConnectionCore::SendMessage>(&effect.what)) {
    std::vector<std::byte>& output = sockets_.at(stream).output;
    net::append_message(output, send->request, std::span(&send->payload, 1));
    const Bytes payload = send->payload.bytes();
    output.insert(output.end(), payload.begin(), payload.end());
  } else {
    network_.close(options_.host, stream);
    sockets_.erase(stream);
    streams_.erase(found);
  }
}

void SimClient::flush() {
  for (auto& [stream, socket] : sockets_) {
    if (!socket.output.empty()) {
      network_.send(options_.host, stream, std::exchange(socket.output, {}));
    }
  }
}

void SimClient::send_batches(std::vector<net::SendBatch> sends) {
  for (net::SendBatch& send : sends) {
    net::Call call;
    wire::AppendRequest& request = *call.request.mutable_append();
    request.set_stream(send.shard.stream.value());
    request.set_shard(send.shard.shard.value());
    if (send.expected) request.set_expected_offset(send.expected->value());
    call.payload = std::move(send.batch);
    call.shard = send.shard;
    call.deadline = send.deadline;
    call.retry = net::Retry::kNever;
    call.done = [this, shard = send.shard, attempt = send.attempt](const net::CallResult& result) {
      producer_.on_reply(shard, attempt, result, world_.now());
    };
    core_.call(std::move(call), world_.now());
  }
}

void SimClient::resolve(const std::string& name) {
  net::Call call;
  call.request.mutable_resolve()->add_names(name);
  call.deadline = world_.now() + options_.producer.append_deadline;
  call.done = [this, name](const net::CallResult& result) {
    const auto& streams = result.response.resolve().streams();
    const auto found = std::ranges::find(streams, name, &wire::StreamInfo::name);
    if (result.error) {
      producer_.on_stream_failed(name, *result.error);
    } else if (found == streams.end()) {
      producer_.on_stream_failed(name, Error(Errc::kNotFound, "stream '" + name + "'"));
    } else {
      producer_.on_stream(*found, producer_now());
    }
  };
  core_.call(std::move(call), world_.now());
}

void SimClient::init_producer() {
  net::Call call;
  call.request.mutable_init_producer();
  call.deadline = world_.now() + options_.producer.append_deadline;
  call.done = [this](const net::CallResult& result) {
    if (result.error || !result.response.has_init_producer()) {
      producer_.on_identity_failed(world_.now());
      return;
    }
    const wire::InitProducerReply& reply = result.response.init_producer();
    producer_.on_identity(ProducerId(reply.producer_id()),
                          static_cast<std::int16_t>(reply.producer_epoch()));
  };
  core_.call(std::move(call), world_.now());
}

void SimClient::arm() {
  Moment at = std::min(core_.next_wakeup(), producer_.next_wakeup());
  for (const SimTail& tail : tails_) at = std::min(at, tail.reader.next_wakeup());
  if (at == net::kMomentMax || (armed_for_ && *armed_for_ <= at)) return;
  armed_for_ = at;
  world_.queue.at(at, [this, at, alive = alive_] {
    if (!*alive || armed_for_ != at) return;
    armed_for_.reset();
    turn();
  });
}

void SimClient::on_stream_opened(StreamNumber stream) {
  const auto found = sockets_.find(stream);
  if (found == sockets_.end()) return;
  core_.on_connected(found->second.connection, found->second.generation, world_.now());
  turn();
}

void SimClient::on_stream_bytes(StreamNumber stream, std::vector<std::byte> bytes) {
  if (const auto found = sockets_.find(stream); found != sockets_.end()) {
    core_.on_bytes(found->second.connection, found->second.generation, world_.now());
  }
  Bytes rest(bytes);
  while (!rest.empty()) {
    auto found = sockets_.find(stream);
    if (found == sockets_.end()) return;
    net::MessageReader& reader = found->second.reader;
    const std::span<std::byte> room = reader.prepare();
    const std::size_t count = std::min(room.size(), rest.size());
    std::memcpy(room.data(), rest.data(), count);
    reader.commit(count);
    rest = rest.subspan(count);
    while (true) {
      auto next = reader.next();
      if (!next) return lose(stream, next.error());
      auto& message = *next;
      if (!message) break;
      wire::Response response;
      const Bytes header = message->header;
      if (header.size() > INT_MAX ||
          !response.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
        return lose(stream, Error(Errc::kProtocol, "the node sent a header that is none"));
      }
      core_.on_message(found->second.connection, found->second.generation, std::move(response),
                       std::move(message->payload), world_.now());
    }
  }
  turn();
}

void SimClient::on_stream_closed(StreamNumber stream) {
  lose(stream, Error(Errc::kUnavailable, "the connection broke"));
}

void SimClient::lose(StreamNumber stream, const Error& error) {
  const auto found = sockets_.find(stream);
  if (found == sockets_.end()) return;
  const ConnectionId connection = found->second.connection;
  const std::uint64_t generation = found->second.generation;
  network_.close(options_.host, stream);
  sockets_.erase(found);
  streams_.erase(connection);
  core_.on_lost(connection, generation, error, world_.now());
  turn();
}

}  // namespace lignum::jepsen
