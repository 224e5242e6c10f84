#pragma once

// The server's end of one connection, without the socket: bytes and time in, requests and bytes
// out.
//
// Owned by an RpcConnection and called on its lane only. It never blocks, reads no clock and owns
// no socket, so tests and the simulator run this very class. The handshake comes first: until it
// is done the peer can make us hold no more than MessageLimits::before_handshake(). Everything is
// bounded: requests without a reply, their payload bytes, bytes waiting to be sent. At a bound the
// session stops wanting to read (back-pressure through TCP); nothing is dropped. What all sessions
// of a server hold together is bounded as well: where the budget is used up, a large message is
// refused before its memory is taken (overloaded, the connection ends) and so is a large reply
// (that request fails).
//
// Who breaks the protocol gets one last Response with id 0 that says why, and is closed. Who is
// too slow (handshake, a message that never ends, replies that are never taken) is closed.
//
//     kHello --hello--> kServing --drain()--> kDraining --all answered--> finished
//        \                 \                      \-----------------------> broken, finished

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/memory_budget.h"
#include "net/message.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/protocol_version.h"  // IWYU pragma: export
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

class ServerSession {
 public:
  struct Options {
    MessageLimits limits;
    // Sent to the client in answer to its hello.
    wire::HelloReply hello;
    // Requests taken and not yet answered.
    std::size_t outstanding_max = 4096;
    std::size_t outstanding_bytes_max = std::size_t{32} << 20;
    // Bytes of replies not yet sent; a peer that does not take its replies gets no more read.
    std::size_t output_bytes_max = std::size_t{32} << 20;
    // The replies to what was read before that may still come; beyond this the peer is closed.
    std::size_t output_bytes_hard_max = std::size_t{256} << 20;
    // Of all sessions together.
    std::size_t memory_max = std::size_t{512} << 20;
    // First tick to the end of the handshake.
    Moment handshake_deadline = 5 * kSecond;
    // First byte of a message to its last; and how long a peer may take none of its replies.
    Moment stall_deadline = 60 * kSecond;
  };

  struct Incoming {
    wire::Request request;
    Payload payload;
  };

  // Both outlive the session: connections share them.
  ServerSession(const Options& options, MemoryBudget& budget);

  // Reading: prepare(), commit(n), then next_request() until it returns nothing.
  [[nodiscard]] std::span<std::byte> prepare() { return reader_.prepare(); }
  void commit(std::size_t n) { reader_.commit(n); }
  [[nodiscard]] std::optional<Incoming> next_request();
  // False at a bound, and once broken.
  [[nodiscard]] bool wants_read() const;
  // Gives the buffers back where nothing is in them.
  void release_idle();
  [[nodiscard]] bool holds_buffer() const { return reader_.holds_buffer(); }

  // Answers the request `id` that next_request() handed out; an id that is not outstanding is a
  // bug. The response's id is filled in here. One whose header is over the limit is replaced by a
  // kTooLarge.
  void reply(std::uint64_t id, wire::Response response, std::vector<Payload> payload);

  // Writing: fills `pieces` from the front with what to send next, in order, and returns how many
  // it filled. The views live until the next call of reply(), next_request() or sent().
  [[nodiscard]] std::size_t output(std::span<Bytes> pieces) const;
  // The first `bytes` of the output went out.
  void sent(std::size_t bytes);
  [[nodiscard]] std::size_t output_bytes() const { return output_bytes_; }

  // Deadlines. True when the peer missed one and the socket is to be closed; broken() says which.
  // Called once at the start and then every now and then: a deadline is noticed at the first call
  // after it.
  [[nodiscard]] bool on_tick(Moment now);

  // Requests read from now on are answered kShuttingDown; what is outstanding is still answered.
  // Idempotent.
  void drain() { draining_ = true; }
  // Everything said and done: the socket may be closed.
  [[nodiscard]] bool finished() const;
  [[nodiscard]] bool handshaken() const { return handshaken_; }
  [[nodiscard]] const std::string& client_name() const { return client_name_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }
  // Why the peer was refused; for the log.
  [[nodiscard]] const std::optional<Error>& broken() const { return broken_; }

 private:
  // Either bytes of our own, to which further small replies are appended, or a payload's.
  struct Piece {
    std::vector<std::byte> own;
    Payload shared;
    [[nodiscard]] Bytes bytes() const { return own.empty() ? shared.bytes() : Bytes(own); }
  };

  // Something that ought to move on, and since when on_tick has seen it in the same place.
  struct Progress {
    std::uint64_t position = 0;
    std::optional<Moment> since;
    // True once `position` stood still for `deadline`.
    [[nodiscard]] bool stalled(std::uint64_t now_at, Moment now, Moment deadline);
  };

  [[nodiscard]] std::optional<Incoming> accept(ReceivedMessage message);
  // True where the request goes to the handler; else it has been answered.
  [[nodiscard]] bool admit(const wire::Request& request);
  void shake_hands(const wire::Request& request);
  void refuse(std::uint64_t id, const Error& error);
  // Breaks off where there is no memory for the message that is coming.
  void admit_large_message();
  // Tells the budget what is held now.
  void account();
  void send(const wire::Response& response, std::vector<Payload> payload);
  std::vector<std::byte>& open_piece();
  void break_off(Error why);

  const Options& options_;
  MemoryBudget& budget_;
  MemoryShare share_;
  MessageReader reader_;
  // Admitted size of the large message that is being received.
  std::size_t receiving_ = 0;
  bool handshaken_ = false;
  bool draining_ = false;
  std::optional<Error> broken_;
  std::string client_name_;
  // Request id -> payload bytes it holds.
  std::unordered_map<std::uint64_t, std::size_t> outstanding_;
  std::size_t outstanding_bytes_ = 0;
  std::deque<Piece> output_;
  // The memory of a piece that went out, for the next one.
  std::vector<std::byte> spare_;
  // Of the first piece; what has gone out already.
  std::size_t output_begin_ = 0;
  std::size_t output_bytes_ = 0;
  std::uint64_t messages_read_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::optional<Moment> started_;
  Progress reading_;
  Progress writing_;
};

}  // namespace lignum::net
