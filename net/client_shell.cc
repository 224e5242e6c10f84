#include "net/client_shell.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/client_core.h"
#include "net/client_socket.h"
#include "net/connection_core.h"
#include "net/moment.h"
#include "net/producer.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "net/proto/client.pb.h"
#include "net/tail_shard.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "storage/record_batch.h"

namespace lignum::net {

namespace {

// Outcomes of so many bytes are told in two halves where no other batch is on its way.
constexpr std::size_t kHalvedFrom = std::size_t{128} << 10;

Moment in_moments(std::chrono::microseconds duration) { return duration.count(); }

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) ^ device();
}

ClientCore::Options core_options(const ClientOptions& options) {
  return {.endpoints = options.endpoints,
          .client_name = options.name,
          .connect_timeout = in_moments(options.connect_timeout),
          .backoff = {},
          .seed = random_seed()};
}

Producer::Options producer_options(const ClientOptions& options) {
  Producer::Options producer;
  producer.settings.batch_bytes =
      std::clamp<std::size_t>(options.batch_bytes, 1, kBatchBytesMax - kRecordBytesMax);
  producer.settings.linger = in_moments(options.linger);
  producer.settings.append_deadline = in_moments(options.append_deadline);
  producer.settings.codec = codec_from_name(options.compression).value_or(Codec::kNone);
  producer.buffer_bytes_max = options.buffer_bytes_max;
  producer.seed = random_seed();
  return producer;
}

}  // namespace

Moment ClientShell::moment_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ClientShell::ClientShell(ClientOptions options)
    : options_(std::move(options)),
      io_(std::make_shared<boost::asio::io_context>(1)),
      work_(boost::asio::make_work_guard(*io_)),
      timer_(*io_),
      core_(core_options(options_)),
      next_tail_seed_(random_seed()),
      producer_(producer_options(options_)) {}

// NOLINTNEXTLINE(bugprone-exception-escape): only a failing system call could throw here
ClientShell::~ClientShell() {
  CHECK(std::this_thread::get_id() != thread_.get_id());
  boost::asio::post(*io_, [this] { shut_down(); });
  thread_.join();
}

Result<void> ClientShell::start() {
  thread_ = std::thread([this] { io_->run(); });
  std::promise<std::optional<Error>> connected;
  boost::asio::post(*io_, [&] {
    core_.start([&](std::optional<Error> error) { connected.set_value(std::move(error)); },
                moment_now());
    turn();
  });
  if (const auto error = connected.get_future().get()) {
    return std::unexpected(*error);
  }
  return {};
}

void ClientShell::shut_down() {
  const Error error(Errc::kCancelled, "the client was closed");
  core_.stop(error);
  {
    const MutexLock lock(producer_mutex_);
    producer_.stop();
  }
  for (const OpenTail& tail : tails_) {
    const MutexLock lock(tail.state->mutex);
    tail.state->core.fail(error);
    tail.state->changed.notify_all();
  }
  turn();
  tails_.clear();
  for (const auto& [connection, socket] : sockets_) {
    socket->close();
  }
  timer_.cancel();
  // What is still queued must not run: it would find a client that is gone.
  io_->stop();
}

void ClientShell::turn() {
  bool busy = true;
  while (busy) {
    const Moment now = moment_now();
    busy = turn_core(now);
    busy = turn_producer(now) || busy;
    if (!busy) {
      for (const auto& [connection, socket] : sockets_) {
        socket->flush();
      }
      busy = deliver_outcomes();
    }
  }
  arm_timer();
}

bool ClientShell::turn_core(Moment now) {
  if (core_.next_wakeup() <= now) {
    core_.on_tick(now);
  }
  for (OpenTail& tail : tails_) {
    if (tail.wakeup <= now) {
      turn_tail(tail, now);
    }
  }
  auto effects = core_.take_effects();
  for (auto& effect : effects) {
    carry_out(std::move(effect));
  }
  auto ended = core_.take_ended();
  for (auto& end : ended) {
    end.done(std::move(end.result));
  }
  return !effects.empty() || !ended.empty();
}

void ClientShell::carry_out(ClientCore::Effect effect) {
  const ClientCore::ConnectionId connection = effect.connection;
  if (const auto* open = std::get_if<ConnectionCore::OpenSocket>(&effect.what)) {
    ClientSocket::Events& events = *this;
    auto socket = std::make_shared<ClientSocket>(
        *io_, events, SocketName{.connection = connection, .generation = open->generation});
    sockets_.insert_or_assign(connection, socket);
    socket->open(open->address);
  } else if (auto* send = std::get_if<ConnectionCore::SendMessage>(&effect.what)) {
    if (const auto found = sockets_.find(connection); found != sockets_.end()) {
      found->second->send(send->request, std::move(send->payload));
    }
  } else if (const auto found = sockets_.find(connection); found != sockets_.end()) {
    found->second->close();
    sockets_.erase(found);
  }
}

bool ClientShell::turn_producer(Moment now) {
  Producer::Output output;
  {
    const MutexLock lock(producer_mutex_);
    wake_posted_ = false;
    if (producer_.wants_turn() || producer_.next_wakeup() <= now) {
      producer_.turn(now);
    }
    output = producer_.take_output();
    delivering_ = !deliveries_.empty() || !output.outcomes.empty();
  }
  const bool calls = !output.sends.empty() || !output.resolve.empty() || output.init_producer;
  send_batches(std::move(output.sends), now);
  for (const std::string& name : output.resolve) {
    resolve_for_producer(name, now);
  }
  if (output.init_producer) {
    init_producer(now);
  }
  std::ranges::move(output.outcomes, std::back_inserter(deliveries_));
  return calls;
}

bool ClientShell::deliver_outcomes() {
  if (deliveries_.empty()) {
    return false;
  }
  const AppendOutcome& first = deliveries_.front();
  const bool lockstep = deliveries_.size() == 1 && delivered_ == 0 && batches_out_ == 0 &&
                        first.accounted_bytes >= kHalvedFrom && first.waiters.size() > 1;
  if (lockstep) {
    delivered_ = first.waiters.size() / 2;
    first.waiters.deliver_some(first.first, 0, delivered_);
    return true;
  }
  for (const AppendOutcome& outcome : deliveries_) {
    outcome.waiters.deliver_some(outcome.first, std::exchange(delivered_, 0),
                                 outcome.waiters.size());
  }
  deliveries_.clear();
  {
    const MutexLock lock(producer_mutex_);
    delivering_ = false;
  }
  progress_.notify_all();
  return true;
}

void ClientShell::send_batches(std::vector<SendBatch> sends, Moment now) {
  for (SendBatch& send : sends) {
    Call call;
    wire::AppendRequest& request = *call.request.mutable_append();
    request.set_stream(send.shard.stream.value());
    request.set_shard(send.shard.shard.value());
    if (send.expected) {
      request.set_expected_offset(send.expected->value());
    }
    call.payload = std::move(send.batch);
    call.shard = send.shard;
    call.deadline = send.deadline;
    call.retry = Retry::kNever;
    ++batches_out_;
    call.done = [this, shard = send.shard, attempt = send.attempt](const CallResult& result) {
      --batches_out_;
      const MutexLock lock(producer_mutex_);
      producer_.on_reply(shard, attempt, result, moment_now());
    };
    core_.call(std::move(call), now);
  }
}

void ClientShell::resolve_for_producer(const std::string& name, Moment now) {
  Call call;
  call.request.mutable_resolve()->add_names(name);
  call.deadline = now + in_moments(options_.append_deadline);
  call.done = [this, name](const CallResult& result) {
    const MutexLock lock(producer_mutex_);
    const auto& streams = result.response.resolve().streams();
    const auto found = std::ranges::find(streams, name, &wire::StreamInfo::name);
    if (result.error) {
      producer_.on_stream_failed(name, *result.error);
    } else if (found == streams.end()) {
      producer_.on_stream_failed(
          name, Error(Errc::kNotFound, "stream '" + name + "' does not exist; create it first"));
    } else {
      producer_.on_stream(*found, now_for_append());
    }
  };
  core_.call(std::move(call), now);
}

void ClientShell::init_producer(Moment now) {
  Call call;
  call.request.mutable_init_producer();
  call.deadline = now + in_moments(options_.append_deadline);
  call.done = [this](const CallResult& result) {
    const MutexLock lock(producer_mutex_);
    if (result.error || !result.response.has_init_producer()) {
      producer_.on_identity_failed(moment_now());
      return;
    }
    const wire::InitProducerReply& reply = result.response.init_producer();
    producer_.on_identity(ProducerId(reply.producer_id()),
                          static_cast<std::int16_t>(reply.producer_epoch()));
  };
  core_.call(std::move(call), now);
}

void ClientShell::on_tail_asks() {
  std::erase_if(tails_, [](const OpenTail& tail) {
    const MutexLock lock(tail.state->mutex);
    // Its requests, should some be open, find nobody.
    return tail.state->abandoned;
  });
  for (OpenTail& tail : tails_) {
    turn_tail(tail, moment_now());
  }
  turn();
}

void ClientShell::turn_tail(OpenTail& tail, Moment now) {
  std::vector<TailRequest> requests;
  {
    const MutexLock lock(tail.state->mutex);
    tail.state->turn_asked = false;
    tail.state->core.turn(now);
    requests = tail.state->core.take_requests();
    tail.wakeup = tail.state->core.next_wakeup();
    tail.state->changed.notify_all();
  }
  for (TailRequest& request : requests) {
    Call call;
    call.request = std::move(request.request);
    call.shard = request.shard;
    call.deadline = request.deadline;
    call.retry = request.retry;
    call.done = [this, weak = std::weak_ptr(tail.state),
                 token = request.token](const CallResult& result) {
      const auto state = weak.lock();
      const auto open = std::ranges::find(tails_, state, &OpenTail::state);
      if (open == tails_.end()) {
        return;
      }
      {
        const MutexLock lock(state->mutex);
        state->core.on_reply(token, result, moment_now());
      }
      turn_tail(*open, moment_now());
    };
    core_.call(std::move(call), now);
  }
}

void ClientShell::arm_timer() {
  Moment at = core_.next_wakeup();
  {
    const MutexLock lock(producer_mutex_);
    at = std::min(at, producer_.next_wakeup());
  }
  for (const OpenTail& tail : tails_) {
    at = std::min(at, tail.wakeup);
  }
  if (timer_at_ && *timer_at_ <= at) {
    return;  // it rings early enough, and is armed anew then
  }
  if (at == kMomentMax) {
    return;
  }
  timer_at_ = at;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(at)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) {
      timer_at_.reset();
      turn();
    }
  });
}

void ClientShell::on_connected(SocketName name) {
  core_.on_connected(name.connection, name.generation, moment_now());
  turn();
}

void ClientShell::on_lost(SocketName name, Error error) {
  core_.on_lost(name.connection, name.generation, error, moment_now());
  turn();
}

void ClientShell::on_bytes(SocketName name) {
  core_.on_bytes(name.connection, name.generation, moment_now());
}

void ClientShell::on_messages(SocketName name, std::vector<ClientSocket::Message> messages) {
  for (ClientSocket::Message& message : messages) {
    core_.on_message(name.connection, name.generation, std::move(message.response),
                     std::move(message.payload), moment_now());
  }
  turn();
}

void ClientShell::post_turn() {
  boost::asio::post(*io_, [this] { turn(); });
}

}  // namespace lignum::net
