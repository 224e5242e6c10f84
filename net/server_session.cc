#include "net/server_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

namespace {

// Kept for logs and `stat`: never more than this of what a client calls itself.
constexpr std::size_t kClientNameBytesMax = 128;

void set_failure(wire::Response& response, const Error& error) {
  response.mutable_failure()->set_code(static_cast<std::uint32_t>(error.code()));
  response.mutable_failure()->set_message(error.message());
}

}  // namespace

ServerSession::ServerSession(const Options& options)
    : options_(options), reader_(MessageLimits::before_handshake()) {}

bool ServerSession::wants_read() const {
  return !broken_ && !draining_ && outstanding_.size() < options_.outstanding_max &&
         outstanding_bytes_ < options_.outstanding_bytes_max &&
         output_bytes_ < options_.output_bytes_max;
}

std::optional<ServerSession::Incoming> ServerSession::next_request() {
  while (wants_read()) {
    auto message = reader_.next();
    if (!message) {
      break_off(message.error());
      return std::nullopt;
    }
    if (!*message) return std::nullopt;
    if (auto incoming = accept(std::move(**message))) return incoming;
  }
  return std::nullopt;
}

std::optional<ServerSession::Incoming> ServerSession::accept(ReceivedMessage message) {
  Incoming incoming{.request = {}, .payload = std::move(message.payload)};
  const Bytes header = message.header.bytes();
  if (!incoming.request.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    break_off(Error(Errc::kProtocol, "a message header is not a Request"));
    return std::nullopt;
  }
  if (!handshaken_) {
    shake_hands(incoming.request);
    return std::nullopt;
  }
  const std::uint64_t id = incoming.request.id();
  if (id == 0 || outstanding_.contains(id)) {
    break_off(
        Error(Errc::kProtocol, fmt::format("request id {} is zero or already outstanding", id)));
    return std::nullopt;
  }
  outstanding_.emplace(id, incoming.payload.size());
  outstanding_bytes_ += incoming.payload.size();
  return incoming;
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
  response.set_id(id);
  send(response, std::move(payload));
}

void ServerSession::send(const wire::Response& response, std::vector<Payload> payload) {
  output_.emplace_back(encode_message(response, payload));
  output_bytes_ += output_.back().size();
  for (Payload& slice : payload) {
    if (slice.empty()) continue;
    output_bytes_ += slice.size();
    output_.push_back(std::move(slice));
  }
}

void ServerSession::break_off(Error why) {
  wire::Response response;
  set_failure(response, why);
  send(response, {});
  broken_ = std::move(why);
}

std::vector<Bytes> ServerSession::output() const {
  std::vector<Bytes> pieces;
  const std::size_t count = std::min(output_.size(), kGatherMax);
  pieces.reserve(count);
  for (std::size_t i = 0; i < count; ++i) pieces.push_back(output_[i].bytes());
  return pieces;
}

void ServerSession::sent(std::size_t pieces) {
  CHECK(pieces <= output_.size());
  for (std::size_t i = 0; i < pieces; ++i) {
    output_bytes_ -= output_.front().size();
    output_.pop_front();
  }
}

bool ServerSession::finished() const {
  if (!output_.empty()) return false;
  return broken_.has_value() || (draining_ && outstanding_.empty());
}

}  // namespace lignum::net
