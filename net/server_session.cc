#include "net/server_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "net/memory_budget.h"
#include "net/message.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/protocol_version.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

namespace {

// Kept for logs and `stat`: never more than this of what a client calls itself.
constexpr std::size_t kClientNameBytesMax = 128;
// Small replies share a piece up to this size: one buffer and one iovec for a hundred of them.
constexpr std::size_t kPieceBytes = std::size_t{32} << 10;
// Payload slices up to this size are copied into the piece: cheaper than an iovec of their own.
constexpr std::size_t kCopiedSliceMax = 1024;
// Replies up to this size are sent also where no memory is left: they carry what was done.
constexpr std::size_t kGatedReplyBytes = std::size_t{64} << 10;

void set_failure(wire::Response& response, const Error& error) {
  response.mutable_failure()->set_code(static_cast<std::uint32_t>(error.code()));
  response.mutable_failure()->set_message(error.message());
}

}  // namespace

bool ServerSession::Progress::stalled(std::uint64_t now_at, Moment now, Moment deadline) {
  if (!since || position != now_at) {
    since = now;
    position = now_at;
  }
  return now - *since >= deadline;
}

ServerSession::ServerSession(const Options& options, MemoryBudget& budget)
    : options_(options),
      budget_(budget),
      share_(budget),
      reader_(MessageLimits::before_handshake()) {}

void ServerSession::account() { share_.set(receiving_ + outstanding_bytes_ + output_bytes_); }

void ServerSession::admit_large_message() {
  const std::size_t size = reader_.large_message();
  if (size <= receiving_) return;
  if (!budget_.has_room(size)) {
    break_off(Error(Errc::kOverloaded,
                    fmt::format("no memory for a message of {} bytes: connections hold {} of {}",
                                size, budget_.held(), budget_.bytes_max())));
    return;
  }
  receiving_ = size;
  account();
}

bool ServerSession::wants_read() const {
  return !broken_ && outstanding_.size() < options_.outstanding_max &&
         outstanding_bytes_ < options_.outstanding_bytes_max &&
         output_bytes_ < options_.output_bytes_max;
}

void ServerSession::release_idle() {
  if (reader_.at_boundary()) reader_.release();
  spare_ = {};
}

std::optional<ServerSession::Incoming> ServerSession::next_request() {
  while (wants_read()) {
    auto message = reader_.next();
    if (!message) {
      break_off(message.error());
      return std::nullopt;
    }
    std::optional<ReceivedMessage>& received = *message;
    if (!received) {
      admit_large_message();
      return std::nullopt;
    }
    ++messages_read_;
    receiving_ = 0;
    if (auto incoming = accept(std::move(*received))) return incoming;
  }
  return std::nullopt;
}

std::optional<ServerSession::Incoming> ServerSession::accept(ReceivedMessage message) {
  std::optional<Incoming> incoming(std::in_place);
  incoming->payload = std::move(message.payload);
  if (!incoming->request.ParseFromArray(message.header.data(),
                                        static_cast<int>(message.header.size()))) {
    break_off(Error(Errc::kProtocol, "a message header is not a Request"));
    return std::nullopt;
  }
  if (!handshaken_) {
    shake_hands(incoming->request);
    return std::nullopt;
  }
  if (!admit(incoming->request)) return std::nullopt;
  outstanding_.emplace(incoming->request.id(), incoming->payload.size());
  outstanding_bytes_ += incoming->payload.size();
  account();
  return incoming;
}

bool ServerSession::admit(const wire::Request& request) {
  const std::uint64_t id = request.id();
  if (id == 0 || outstanding_.contains(id)) {
    break_off(
        Error(Errc::kProtocol, fmt::format("request id {} is zero or already outstanding", id)));
    return false;
  }
  if (draining_) {
    refuse(id, Error(Errc::kShuttingDown, "the node is shutting down"));
    return false;
  }
  if (request.has_hello()) {
    refuse(id, Error(Errc::kInvalidArgument, "the handshake has been done already"));
    return false;
  }
  if (request.has_ping()) {
    wire::Response response;
    response.set_id(id);
    response.mutable_ping();
    send(response, {});
    return false;
  }
  if (request.body_case() == wire::Request::BODY_NOT_SET) {
    refuse(id, Error(Errc::kUnsupported, "this node does not know that kind of request"));
    return false;
  }
  return true;
}

void ServerSession::shake_hands(const wire::Request& request) {
  if (!request.has_hello()) {
    break_off(Error(Errc::kProtocol, "the first request of a connection must be a hello"));
    return;
  }
  if (request.hello().protocol_version() != kProtocolVersion) {
    break_off(Error(Errc::kUnsupported,
                    fmt::format("protocol version {}; this node speaks {}",
                                request.hello().protocol_version(), kProtocolVersion)));
    return;
  }
  handshaken_ = true;
  client_name_ = request.hello().client_name().substr(0, kClientNameBytesMax);
  reader_.set_limits(options_.limits);
  wire::Response response;
  response.set_id(request.id());
  *response.mutable_hello() = options_.hello;
  send(response, {});
}

void ServerSession::reply(std::uint64_t id, wire::Response response, std::vector<Payload> payload) {
  const auto found = outstanding_.find(id);
  CHECK(found != outstanding_.end());
  outstanding_bytes_ -= found->second;
  outstanding_.erase(found);
  account();
  std::size_t bytes = 0;
  for (const Payload& slice : payload) bytes += slice.size();
  if (bytes > kGatedReplyBytes && !budget_.has_room(bytes)) {
    refuse(id, Error(Errc::kOverloaded, "no memory for a large reply; retry, or ask for less"));
    return;
  }
  response.set_id(id);
  // The client could only break off. What is made of many parts comes in pages or is cut short.
  if (const std::size_t header = response.ByteSizeLong();
      header > options_.limits.header_bytes_max) {
    refuse(id,
           Error(Errc::kTooLarge, fmt::format("the answer takes {} bytes; at most {} can be sent",
                                              header, options_.limits.header_bytes_max)));
    return;
  }
  send(response, std::move(payload));
}

void ServerSession::refuse(std::uint64_t id, const Error& error) {
  wire::Response response;
  response.set_id(id);
  set_failure(response, error);
  send(response, {});
}

std::vector<std::byte>& ServerSession::open_piece() {
  if (output_.empty() || output_.back().own.empty() || output_.back().own.size() >= kPieceBytes) {
    output_.push_back({.own = std::exchange(spare_, {}), .shared = {}});
  }
  return output_.back().own;
}

void ServerSession::send(const wire::Response& response, std::vector<Payload> payload) {
  // After the last word nothing more is said.
  if (broken_) return;
  std::vector<std::byte>& own = open_piece();
  const std::size_t before = own.size();
  append_message(own, response, payload);
  output_bytes_ += own.size() - before;
  for (Payload& slice : payload) {
    output_bytes_ += slice.size();
    if (slice.size() > kCopiedSliceMax) {
      output_.push_back({.own = {}, .shared = std::move(slice)});
    } else if (!slice.empty()) {
      const Bytes bytes = slice.bytes();
      std::vector<std::byte>& copy = open_piece();
      copy.insert(copy.end(), bytes.begin(), bytes.end());
    }
  }
  if (output_bytes_ > options_.output_bytes_hard_max) {
    output_.clear();
    output_begin_ = output_bytes_ = 0;
    broken_ = Error(Errc::kOverloaded, "the client does not take its replies");
  }
  account();
}

void ServerSession::break_off(Error why) {
  wire::Response response;
  set_failure(response, why);
  send(response, {});
  if (!broken_) broken_ = std::move(why);
}

std::size_t ServerSession::output(std::span<Bytes> pieces) const {
  const std::size_t count = std::min(output_.size(), pieces.size());
  for (std::size_t i = 0; i < count; ++i) pieces[i] = output_[i].bytes();
  if (count > 0) pieces[0] = pieces[0].subspan(output_begin_);
  return count;
}

void ServerSession::sent(std::size_t bytes) {
  CHECK(bytes <= output_bytes_);
  output_bytes_ -= bytes;
  account();
  bytes_sent_ += bytes;
  output_begin_ += bytes;
  while (!output_.empty() && output_begin_ >= output_.front().bytes().size()) {
    output_begin_ -= output_.front().bytes().size();
    spare_ = std::move(output_.front().own);
    spare_.clear();
    output_.pop_front();
  }
}

bool ServerSession::on_tick(Moment now) {
  std::optional<Error> late;
  if (!started_) started_ = now;
  if (!handshaken_ && now - *started_ >= options_.handshake_deadline) {
    late = Error(Errc::kTimeout, "the client did not shake hands in time");
  }
  // A message that waits at one of our own bounds is not the peer's fault.
  if (reader_.at_boundary() || !wants_read()) {
    reading_.since.reset();
  } else if (reading_.stalled(messages_read_, now, options_.stall_deadline)) {
    late = Error(Errc::kTimeout, "the client did not finish a message in time");
  }
  if (output_.empty()) {
    writing_.since.reset();
  } else if (writing_.stalled(bytes_sent_, now, options_.stall_deadline)) {
    late = Error(Errc::kTimeout, "the client does not take its replies");
  }
  if (!late) return false;
  if (!broken_) broken_ = std::move(late);
  return true;
}

bool ServerSession::finished() const {
  if (!output_.empty()) return false;
  return broken_.has_value() || (draining_ && outstanding_.empty());
}

}  // namespace lignum::net
