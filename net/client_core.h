#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/connection_core.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/routing_cache.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

// The client without sockets, threads or clock: keeps one ConnectionCore per address, chooses the
// connection of each call (leader of its shard, else any endpoint), retries what may be retried
// until its deadline, keeps the routing cache fresh.
//
// Owned by the shell (or a simulator); one thread. Every call ends exactly once, in take_ended();
// handlers are run by the owner, never by the core, so a handler may make the next call. It never
// repeats a request that is not Retry::kIdempotent once a server may have acted on it.
//
// The owner's turn, after every event and at next_wakeup():
//   1. give the event (a call, something from a socket, on_tick);
//   2. carry out take_effects() in order: open, send, close;
//   3. run the handlers of take_ended(); what they call goes back to 2.
class ClientCore {
 public:
  struct Options {
    // host:port, tried in turn. Not empty.
    std::vector<std::string> endpoints;
    std::string client_name;
    Moment connect_timeout = 5 * kSecond;
    Backoff::Options backoff;
    // Of the jitter of every pause.
    std::uint64_t seed = 0;
  };

  using ConnectionId = std::uint32_t;
  struct Effect {
    ConnectionId connection;
    ConnectionCore::Effect what;
  };
  struct Ended {
    CallHandler done;
    CallResult result;
  };

  // Calls taken and not ended; beyond it a call ends with kOverloaded.
  static constexpr std::size_t kCallsMax = 65536;
  // Addresses ever connected to (endpoints and leaders); beyond it leaders are reached through
  // endpoints only.
  static constexpr std::size_t kConnectionsMax = 256;

  explicit ClientCore(Options options);

  // Tries the endpoints in turn, each once, until one shakes hands: `done` then has no error. When
  // none does: kUnavailable, naming each endpoint and what went wrong there. Call it first, once.
  void start(std::function<void(std::optional<Error>)> done, Moment now);

  void call(Call call, Moment now);

  // Every call ends now, with `error`; calls that had left have maybe_processed set.
  void stop(const Error& error);

  void on_connected(ConnectionId connection, std::uint64_t generation, Moment now);
  void on_lost(ConnectionId connection, std::uint64_t generation, const Error& error, Moment now);
  // Some bytes of a message that is not complete.
  void on_bytes(ConnectionId connection, std::uint64_t generation, Moment now);
  void on_message(ConnectionId connection, std::uint64_t generation, wire::Response response,
                  Payload payload, Moment now);
  void on_tick(Moment now);
  [[nodiscard]] Moment next_wakeup() const;

  [[nodiscard]] std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }
  [[nodiscard]] std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

  // Of the node last shaken hands with; the defaults before that.
  [[nodiscard]] const ConnectionCore::Limits& limits() const { return limits_; }

 private:
  struct Pending {
    Call call;
    // Parked until then; kMomentMax while a connection has it.
    Moment retry_at = kMomentMax;
    Backoff backoff;
    // Some attempt left and was not answered.
    bool maybe_processed = false;
    // Why the last attempt failed.
    std::optional<Error> trouble;
  };
  struct Starting {
    std::function<void(std::optional<Error>)> done;
    std::string errors;
    std::size_t tried = 0;
  };

  // None where every candidate pauses after a failure.
  [[nodiscard]] std::optional<ConnectionId> connection_for(const Call& call);
  [[nodiscard]] std::optional<ConnectionId> any_connection();
  [[nodiscard]] ConnectionCore& endpoint(std::size_t index);
  // None where there are too many.
  [[nodiscard]] std::optional<ConnectionId> connection_to(std::string_view address);
  void attempt(std::uint64_t token, Pending& pending, Moment now);
  void park(std::uint64_t token, Pending& pending, Moment until);
  void on_result(std::uint64_t token, CallResult result, Moment now);
  [[nodiscard]] bool shall_retry(const Pending& pending, const CallResult& result) const;
  void end(std::uint64_t token, CallResult result);
  void expire(std::uint64_t token, const Pending& pending);
  void learn(const Pending& pending, const CallResult& result, Moment now);
  void refresh_routing(Moment now);
  // Collects what the connections have produced and goes on with calls that they gave up.
  void drain(Moment now);
  void on_start_result(CallResult result, Moment now);
  void end_start(std::optional<Error> error);
  [[nodiscard]] std::uint64_t next_seed() { return seed_ += 0x9E3779B97F4A7C15ULL; }

  const Options options_;
  std::uint64_t seed_;
  RoutingCache routing_;
  std::vector<std::unique_ptr<ConnectionCore>> connections_;
  std::map<std::string, ConnectionId, std::less<>> by_address_;
  // Index into options_.endpoints.
  std::size_t current_endpoint_ = 0;
  ConnectionCore::Limits limits_;
  std::optional<Starting> starting_;
  bool refreshing_ = false;
  bool stopped_ = false;
  std::uint64_t next_token_ = 1;
  std::map<std::uint64_t, Pending> pending_;
  // Parked calls, by the end of their pause.
  std::set<std::pair<Moment, std::uint64_t>> parked_;
  std::vector<Effect> effects_;
  std::vector<Ended> ended_;
};

}  // namespace lignum::net
