#pragma once

// A TCP connection on loopback that never blocks: messages out are queued and gathered into one
// system call, messages in are cut as a node cuts them (net/message.h, CRC included).
//
// Owned and called by one thread, which polls fd().

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::cli {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// "what: text of errno", as kUnavailable or kIo.
[[nodiscard]] Error socket_error(const char* what);

class LimitSocket {
 public:
  // A connected stream socket; made non-blocking, without Nagle's delay.
  explicit LimitSocket(Descriptor descriptor);
  [[nodiscard]] static Result<LimitSocket> connect(std::uint16_t port);

  [[nodiscard]] int fd() const { return descriptor_.get(); }
  // True while flush() left something: poll for writability then.
  [[nodiscard]] bool wants_write() const { return !queued_.empty(); }

  void send(const google::protobuf::MessageLite& header, Payload payload);
  // Writes what the kernel takes.
  [[nodiscard]] Result<void> flush();
  // Reads what has come, up to one buffer; false when the peer closed.
  [[nodiscard]] Result<bool> receive();
  // The next message received; its header lives until receive().
  [[nodiscard]] Result<std::optional<net::ReceivedMessage>> next() { return reader_.next(); }

 private:
  // One system call; false when the kernel takes no more.
  Result<bool> send_some();

  Descriptor descriptor_;
  net::MessageReader reader_{net::MessageLimits{}};
  std::deque<Payload> queued_;
  // Of the first in the queue.
  std::size_t written_ = 0;
};

// A socket that listens on loopback, on any free port.
struct LimitListener {
  Descriptor descriptor;
  std::uint16_t port = 0;
};
[[nodiscard]] Result<LimitListener> listen_on_loopback();

}  // namespace lignum::cli
