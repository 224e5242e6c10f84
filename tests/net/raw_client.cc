#include "tests/net/raw_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "net/server_session.h"
#include "raft/check.h"
#include "raft/payload.h"

namespace lignum::net {

RawClient::RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  CHECK(socket_ >= 0);
  const timeval deadline{.tv_sec = kDeadlineSeconds, .tv_usec = 0};
  const int yes = 1;
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
}

RawClient::~RawClient() { close(); }

RawClient::RawClient(RawClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), reader_(std::move(other.reader_)) {}

bool RawClient::send(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool RawClient::send(const wire::Request& request, const Payload& payload) {
  std::vector<std::byte> bytes = encode_message(request, std::span(&payload, 1));
  bytes.insert(bytes.end(), payload.bytes().begin(), payload.bytes().end());
  return send(bytes);
}

std::optional<RawClient::Message> RawClient::receive() {
  while (true) {
    auto message = reader_.next();
    if (!message) return std::nullopt;
    if (*message) {
      std::optional<Message> received(std::in_place);
      const Bytes header = (*message)->header;
      CHECK(received->response.ParseFromArray(header.data(), static_cast<int>(header.size())));
      received->payload = std::move((*message)->payload);
      // Thousands of these clients share a process whose memory is measured.
      if (reader_.at_boundary()) reader_.release();
      return received;
    }
    const std::span<std::byte> room = reader_.prepare();
    const ssize_t n = recv(socket_, room.data(), room.size(), 0);
    if (n <= 0) return std::nullopt;
    reader_.commit(static_cast<std::size_t>(n));
  }
}

std::optional<RawClient::Message> RawClient::call(const wire::Request& request,
                                                  const Payload& payload) {
  if (!send(request, payload)) return std::nullopt;
  return receive();
}

bool RawClient::shake_hands() {
  wire::Request request;
  request.set_id(1);
  request.mutable_hello()->set_protocol_version(kProtocolVersion);
  request.mutable_hello()->set_client_name("raw client");
  const auto reply = call(request);
  return reply && reply->response.has_hello();
}

bool RawClient::wait_closed() {
  std::array<std::byte, 4096> rubbish{};
  while (true) {
    const ssize_t n = recv(socket_, rubbish.data(), rubbish.size(), 0);
    if (n > 0) continue;
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }
}

void RawClient::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

wire::Request stat_request(std::uint64_t id) {
  wire::Request request;
  request.set_id(id);
  request.mutable_stat();
  return request;
}

}  // namespace lignum::net
