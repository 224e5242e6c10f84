#include "cli/bench/limit_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "net/message.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::cli {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Error socket_error(const char* what) {
  return {Errc::kIo, std::string(what) + ": " + std::generic_category().message(errno)};
}

LimitSocket::LimitSocket(Descriptor descriptor) : descriptor_(std::move(descriptor)) {
  const int on = 1;
  ::setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd(), F_SETFL, ::fcntl(fd(), F_GETFL) | O_NONBLOCK);
}

Result<LimitSocket> LimitSocket::connect(std::uint16_t port) {
  Descriptor descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (descriptor.get() < 0) return std::unexpected(socket_error("socket"));
  const sockaddr_in address = loopback(port);
  if (::connect(descriptor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return std::unexpected(socket_error("connect on loopback"));
  }
  return LimitSocket(std::move(descriptor));
}

void LimitSocket::send(const google::protobuf::MessageLite& header, Payload payload) {
  std::vector<std::byte> head =
      net::encode_message(header, std::span(&payload, payload.empty() ? 0 : 1));
  queued_.emplace_back(std::move(head));
  if (!payload.empty()) queued_.push_back(std::move(payload));
}

Result<void> LimitSocket::flush() {
  while (!queued_.empty()) {
    TRY_ASSIGN(taken, send_some());
    if (!taken) return {};
  }
  return {};
}

Result<bool> LimitSocket::send_some() {
  constexpr std::size_t kSlicesMax = 64;
  std::array<iovec, kSlicesMax> slices{};
  const std::size_t count = std::min(queued_.size(), kSlicesMax);
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes bytes = queued_[i].bytes().subspan(i == 0 ? written_ : 0);
    slices[i] = {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  }
  msghdr message{};
  message.msg_iov = slices.data();
  message.msg_iovlen = count;
  const auto sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno == EINTR) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    return std::unexpected(socket_error("send"));
  }
  std::size_t left = static_cast<std::size_t>(sent);
  while (left > 0) {
    const std::size_t first = queued_.front().size() - written_;
    if (left < first) {
      written_ += left;
      break;
    }
    left -= first;
    written_ = 0;
    queued_.pop_front();
  }
  return true;
}

Result<bool> LimitSocket::receive() {
  const std::span<std::byte> room = reader_.prepare();
  const auto got = ::recv(fd(), room.data(), room.size(), 0);
  if (got == 0) return false;
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
    return std::unexpected(socket_error("receive"));
  }
  reader_.commit(static_cast<std::size_t>(got));
  return true;
}

Result<LimitListener> listen_on_loopback() {
  constexpr int kBacklog = 16;
  Descriptor descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (descriptor.get() < 0) return std::unexpected(socket_error("socket"));
  sockaddr_in address = loopback(0);
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (::bind(descriptor.get(), plain, length) != 0 || ::listen(descriptor.get(), kBacklog) != 0 ||
      ::getsockname(descriptor.get(), plain, &length) != 0) {
    return std::unexpected(socket_error("listen on loopback"));
  }
  return LimitListener{.descriptor = std::move(descriptor), .port = ntohs(address.sin_port)};
}

}  // namespace lignum::cli
