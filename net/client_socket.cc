#include "net/client_socket.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

struct HostPort {
  std::string host;
  std::string port;
};

// host:port, [v6]:port; an empty port where there is none.
HostPort split(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) {
    return {.host = std::string(address), .port = {}};
  }
  std::string_view host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {.host = std::string(host), .port = std::string(address.substr(colon + 1))};
}

// The resolver takes any number and cuts it to 16 bits: that would be another server's port.
bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && rest == text.data() + text.size() && port != 0;
}

// Everything in one call of the system: left to itself, Asio cuts a write into pieces of 64 KiB.
std::size_t whole_write(const error_code& error, std::size_t /*written*/) {
  return error ? 0 : std::numeric_limits<std::int32_t>::max();
}

}  // namespace

ClientSocket::ClientSocket(asio::io_context& io, Events& events, SocketName name)
    : events_(events), name_(name), resolver_(io), socket_(io), reader_(MessageLimits{}) {}

void ClientSocket::open(const std::string& address) {
  address_ = address;
  const HostPort parts = split(address);
  if (parts.host.empty() || !is_port(parts.port)) {
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
      self->lose(Errc::kInvalidArgument,
                 "an endpoint is written HOST:PORT, with a port from 1 to 65535");
    });
    return;
  }
  resolver_.async_resolve(parts.host, parts.port,
                          [self = shared_from_this()](error_code error, const auto& endpoints) {
                            if (error) {
                              self->lose(Errc::kUnavailable, error.message());
                            } else if (!self->closed_) {
                              self->connect(endpoints);
                            }
                          });
}

void ClientSocket::connect(const asio::ip::tcp::resolver::results_type& endpoints) {
  asio::async_connect(
      socket_, endpoints,
      [self = shared_from_this()](error_code error, const asio::ip::tcp::endpoint&) {
        if (error) {
          self->lose(Errc::kUnavailable, error.message());
          return;
        }
        if (self->closed_) {
          return;
        }
        error_code ignored;
        self->socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
        self->read();
        self->events_.on_connected(self->name_);
      });
}

void ClientSocket::read() {
  const std::span<std::byte> room = reader_.prepare();
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            if (error == asio::error::eof) {
                              self->lose(Errc::kUnavailable, "the node closed the connection");
                            } else if (error) {
                              self->lose(Errc::kUnavailable, error.message());
                            } else if (!self->closed_) {
                              self->on_read(bytes);
                            }
                          });
}

void ClientSocket::on_read(std::size_t bytes) {
  reader_.commit(bytes);
  std::vector<Message> messages;
  while (true) {
    auto next = reader_.next();
    if (!next) {
      lose(next.error().code(), next.error().message());
      return;
    }
    std::optional<ReceivedMessage> received = std::move(*next);
    if (!received) {
      break;
    }
    Message& message = messages.emplace_back();
    const Bytes header = received->header;
    if (header.size() > INT_MAX ||
        !message.response.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
      lose(Errc::kProtocol, "the node sent a header that is none");
      return;
    }
    message.payload = std::move(received->payload);
  }
  // Before the events: they may close this socket.
  read();
  if (messages.empty()) {
    events_.on_bytes(name_);
  } else {
    events_.on_messages(name_, std::move(messages));
  }
}

void ClientSocket::send(const wire::Request& request, Payload payload) {
  if (closed_) {
    return;
  }
  std::vector<std::byte> head = encode_message(request, std::span(&payload, 1));
  queued_.push_back({.head = std::move(head), .payload = std::move(payload)});
}

void ClientSocket::write() {
  if (closed_ || !writing_.empty() || queued_.empty()) {
    return;
  }
  writing_.swap(queued_);
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(2 * writing_.size());
  for (const Outgoing& outgoing : writing_) {
    buffers.emplace_back(outgoing.head.data(), outgoing.head.size());
    if (!outgoing.payload.empty()) {
      buffers.emplace_back(outgoing.payload.bytes().data(), outgoing.payload.size());
    }
  }
  asio::async_write(socket_, buffers, whole_write,
                    [self = shared_from_this()](error_code error, std::size_t) {
                      self->writing_.clear();
                      if (error) {
                        self->lose(Errc::kUnavailable, error.message());
                      } else {
                        self->write();
                      }
                    });
}

void ClientSocket::lose(Errc code, const std::string& what) {
  if (closed_) {
    return;
  }
  close();
  events_.on_lost(name_, Error(code, address_ + ": " + what));
}

void ClientSocket::close() {
  closed_ = true;
  queued_.clear();
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace lignum::net
