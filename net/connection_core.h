#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

// The client's end of the connection to one node's address, without a socket: connects when it is
// first needed, shakes hands, numbers requests, pairs them with responses in any order, gives up at
// deadlines, waits after a failure.
//
// Owned by ClientCore, one per address; called on the client's thread only. It never retries a
// request: what a lost connection leaves unanswered is finished with kUnavailable, and ClientCore
// decides. It never blocks, reads no clock, owns no socket: the shell carries out its effects and
// reports what became of them.
//
//     kIdle --submit--> kConnecting --on_connected--> kHandshaking --hello reply--> kReady
//       ^                    |                             |                          |
//       +---- pause over -- kBackoff <----- any failure ---+--------------------------+
//
// A silent peer: a node that owes answers and has sent not one byte for `ping_after` is asked
// whether it is there; where nothing comes for `ping_timeout` either, the connection counts as
// lost. So a node that vanished, or stands still, holds no request up for longer than the two
// together, however late its deadline is (a read may wait for minutes). Where a deadline passes
// earlier, and no whole message came since its request was sent, the connection counts as lost
// then: one deadline is missed, not one per request. Bytes alone do not help there: where a length
// was damaged on the way they would come for ever, and never make a message. An idle connection is
// not asked, nor one with so many requests on their way that a server reads no further one.
class ConnectionCore {
 public:
  struct Options {
    std::string address;      // host:port
    std::string client_name;  // for the server's logs
    Moment connect_timeout = 5 * kSecond;
    Moment ping_after = 3 * kSecond;
    Moment ping_timeout = 3 * kSecond;
    Backoff::Options backoff;
    std::uint64_t seed = 0;
  };

  // What the server allows, from its hello.
  struct Limits {
    std::size_t message_bytes = std::size_t{16} << 20;
    std::size_t batch_bytes = std::size_t{8} << 20;
    std::size_t record_bytes = std::size_t{1} << 20;
  };

  enum class State : std::uint8_t { kIdle, kConnecting, kHandshaking, kReady, kBackoff };

  // Effects for the shell. `generation` tells sockets of one connection apart: the shell gives it
  // back with every event, and events of an earlier socket are ignored.
  struct OpenSocket {
    std::uint64_t generation;
    std::string address;
  };
  struct SendMessage {
    std::uint64_t generation;
    wire::Request request;
    Payload payload;
  };
  struct CloseSocket {
    std::uint64_t generation;
  };
  using Effect = std::variant<OpenSocket, SendMessage, CloseSocket>;

  // An ended request, named by the caller's own token.
  struct Finished {
    std::uint64_t token;
    CallResult result;
  };

  // Requests taken and not yet finished; submit() beyond it is refused with kOverloaded.
  static constexpr std::size_t kOutstandingMax = 8192;
  // From so many on, silence is not judged: a server that has as many reads nothing before it has
  // answered some (docs/wire_protocol.md), and what it was asked may take its time.
  static constexpr std::size_t kJudgedBelow = 4096;

  explicit ConnectionCore(Options options);

  // Sends the request, at once or after the handshake. Ends in exactly one Finished{token}. Where
  // the connection pauses after a failure that is kUnavailable, at once.
  void submit(std::uint64_t token, wire::Request request, Payload payload, Moment deadline,
              Moment now);

  // Events of the socket with this generation.
  void on_connected(std::uint64_t generation, Moment now);
  // Could not connect, or was closed: `error` says why.
  void on_lost(std::uint64_t generation, const Error& error, Moment now);
  void on_message(std::uint64_t generation, wire::Response response, Payload payload, Moment now);
  // Some bytes came, of a message that is not complete.
  void on_bytes(std::uint64_t generation, Moment now);
  // Deadlines, the connect timeout, the end of a pause, silence.
  void on_tick(Moment now);
  // When on_tick has something to do next.
  [[nodiscard]] Moment next_wakeup() const;

  [[nodiscard]] State state() const { return state_; }
  // Not pausing after a failure: a request would be sent or wait for the handshake.
  [[nodiscard]] bool usable() const { return state_ != State::kBackoff; }
  // End of the pause; only while !usable().
  [[nodiscard]] Moment pause_end() const { return timer_; }
  // Why the last connection ended.
  [[nodiscard]] const std::optional<Error>& last_error() const { return last_error_; }
  [[nodiscard]] const Limits& limits() const { return limits_; }
  [[nodiscard]] const std::string& address() const { return options_.address; }

  // Move out what has gathered; the shell and ClientCore call these after every event.
  [[nodiscard]] std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }
  [[nodiscard]] std::vector<Finished> take_finished() { return std::exchange(finished_, {}); }

 private:
  struct Waiting {
    std::uint64_t token;
    wire::Request request;
    Payload payload;
    Moment deadline;
  };
  struct Sent {
    std::uint64_t token;
    Moment deadline;
    // messages_heard_ when it was sent.
    std::uint64_t heard;
  };

  void open(Moment now);
  void transmit(Waiting waiting, Moment now);
  void shake_hands(Moment now);
  void on_hello(const wire::Response& response, Moment now);
  // Everything unfinished ends with kUnavailable; the pause begins.
  void lose(const Error& error, Moment now);
  void finish(std::uint64_t token, Error error, bool maybe_processed);
  void expire_waiting(Moment now);
  // True where the peer has been silent since an expired request left.
  [[nodiscard]] bool expire_sent(Moment now);
  // When the peer is to be asked whether it is there, or has been silent for too long.
  [[nodiscard]] Moment silence_end() const;
  void ping(Moment now);

  const Options options_;
  Backoff backoff_;
  State state_ = State::kIdle;
  // End of connecting, of the handshake or of the pause, by state.
  Moment timer_ = kMomentMax;
  std::uint64_t generation_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t hello_id_ = 0;
  std::uint64_t messages_heard_ = 0;
  // The last bytes, or the first request after it that the node owes an answer.
  Moment quiet_since_ = 0;
  // When the node was asked since then.
  std::optional<Moment> pinged_at_;
  Limits limits_;
  std::optional<Error> last_error_;
  // Before the handshake is done, in order of arrival.
  std::vector<Waiting> waiting_;
  // By request id.
  std::map<std::uint64_t, Sent> sent_;
  std::set<std::pair<Moment, std::uint64_t>> sent_deadlines_;
  std::vector<Effect> effects_;
  std::vector<Finished> finished_;
};

}  // namespace lignum::net
