#pragma once

// The server's end of one connection, without the socket: bytes in, requests out; replies in,
// bytes out.
//
// Owned by a connection of RpcServer and called on its lane only. It never blocks, reads no clock
// and owns no socket. The handshake comes first: until it is done the peer can make us hold no
// more than MessageLimits::before_handshake(). Everything is bounded: requests without a reply,
// their payload bytes, bytes waiting to be sent. At a bound the session stops wanting to read
// (back-pressure through TCP); nothing is dropped.
//
// A peer that breaks the protocol gets one last Response with id 0 that says why, and is closed.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

inline constexpr std::uint32_t kProtocolVersion = 1;

class ServerSession {
 public:
  struct Options {
    MessageLimits limits;
    // Sent to the client in answer to its hello.
    wire::HelloReply hello;
    // Requests taken and not yet answered.
    std::size_t outstanding_max = 4096;
    std::size_t outstanding_bytes_max = std::size_t{32} << 20;
    // Bytes of replies not yet sent; a peer that does not read its replies gets no more.
    std::size_t output_bytes_max = std::size_t{32} << 20;
  };

  struct Incoming {
    wire::Request request;
    Payload payload;
  };

  explicit ServerSession(const Options& options);

  // Reading: prepare(), commit(n), then next_request() until it returns nothing.
  [[nodiscard]] std::span<std::byte> prepare() { return reader_.prepare(); }
  void commit(std::size_t n) { reader_.commit(n); }
  [[nodiscard]] std::optional<Incoming> next_request();
  // False at a bound, and once closing.
  [[nodiscard]] bool wants_read() const;

  // Answers the request `id` that next_request() handed out; ids that are not outstanding are a
  // bug. The response's id is filled in here.
  void reply(std::uint64_t id, wire::Response response, std::vector<Payload> payload);

  // Writing: what to send next, in order; empty when there is nothing. The views live until
  // sent(). At most kGatherMax pieces at a time.
  [[nodiscard]] std::vector<Bytes> output() const;
  // The first `pieces` of output() went out.
  void sent(std::size_t pieces);

  // No more requests: what is outstanding is still answered. Idempotent.
  void drain() { draining_ = true; }
  // Everything said and done: the socket may be closed.
  [[nodiscard]] bool finished() const;
  [[nodiscard]] bool handshaken() const { return handshaken_; }
  [[nodiscard]] const std::string& client_name() const { return client_name_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }
  // Why the peer was refused; for the log.
  [[nodiscard]] const std::optional<Error>& broken() const { return broken_; }

  static constexpr std::size_t kGatherMax = 64;

 private:
  [[nodiscard]] std::optional<Incoming> accept(ReceivedMessage message);
  void shake_hands(const wire::Request& request);
  void send(const wire::Response& response, std::vector<Payload> payload);
  void break_off(Error why);

  Options options_;
  MessageReader reader_;
  bool handshaken_ = false;
  bool draining_ = false;
  std::optional<Error> broken_;
  std::string client_name_;
  // Request id -> payload bytes it holds.
  std::unordered_map<std::uint64_t, std::size_t> outstanding_;
  std::size_t outstanding_bytes_ = 0;
  std::deque<Payload> output_;
  std::size_t output_bytes_ = 0;
};

}  // namespace lignum::net
