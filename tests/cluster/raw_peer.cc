#include "tests/cluster/raw_peer.h"

#include <netinet/in.h>
#include <sys/poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "net/server_session.h"
#include "raft/check.h"
#include "raft/payload.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {

RawPeer::RawPeer(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(socket_.get() >= 0);
  CHECK(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

bool RawPeer::send(Bytes bytes) {
  while (!bytes.empty() && !closed_) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    closed_ = count <= 0;
    bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return !closed_;
}

bool RawPeer::send(std::string_view text) {
  return send(std::as_bytes(std::span(text.data(), text.size())));
}

bool RawPeer::send(const wire::Request& request, Bytes payload) {
  const std::vector<Payload> pieces = {Payload::copy_of(payload)};
  return send(net::encode_message(request, pieces)) && send(payload);
}

bool RawPeer::read_some(std::chrono::milliseconds patience) {
  pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (closed_ || ::poll(&readable, 1, static_cast<int>(patience.count())) != 1) {
    return false;
  }
  const auto room = reader_.prepare();
  const ssize_t count = ::recv(socket_.get(), room.data(), room.size(), 0);
  closed_ = count <= 0;
  if (!closed_) {
    reader_.commit(static_cast<std::size_t>(count));
  }
  return !closed_;
}

std::optional<wire::Response> RawPeer::receive(std::chrono::milliseconds patience) {
  while (true) {
    const auto message = reader_.next();
    if (!message) {
      return std::nullopt;
    }
    if (*message) {
      wire::Response response;
      const Bytes header = (*message)->header;
      CHECK(response.ParseFromArray(header.data(), static_cast<int>(header.size())));
      return response;
    }
    if (!read_some(patience)) {
      return std::nullopt;
    }
  }
}

bool RawPeer::shake_hands() {
  wire::Request hello;
  hello.set_id(1);
  hello.mutable_hello()->set_protocol_version(net::kProtocolVersion);
  hello.mutable_hello()->set_client_name("raw peer");
  if (!send(hello)) {
    return false;
  }
  const auto reply = receive();
  return reply && reply->has_hello();
}

bool RawPeer::closed_within(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!closed_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return false;
    }
    read_some(left);
    while (reader_.next().value_or(std::nullopt)) {
    }
  }
  return true;
}

}  // namespace lignum::cluster
