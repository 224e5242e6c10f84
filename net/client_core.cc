#include "net/client_core.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/call.h"
#include "net/connection_core.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

// Token of the first request of start(); calls count from 1.
constexpr std::uint64_t kStartToken = 0;
constexpr Moment kRefreshTimeout = 5 * kSecond;

// Decided by group 0.
bool wants_meta_leader(const wire::Request& request) {
  return request.has_create_stream() || request.has_delete_stream() || request.has_init_producer();
}

// Where the answer says that the leader is.
std::optional<std::string> leader_hint(const CallResult& result) {
  if (result.response.failure().leader().empty()) {
    return std::nullopt;
  }
  return result.response.failure().leader();
}

bool suggests_stale_routing(const Call& call, const CallResult& result) {
  if (!result.error) return false;
  const Errc code = result.error->code();
  if (!result.response.has_failure()) {
    // Whoever was asked is gone, or stands still.
    const bool silent = code == Errc::kUnavailable || code == Errc::kTimeout;
    return silent && (call.shard || wants_meta_leader(call.request));
  }
  if (code == Errc::kNotLeader) return true;
  // A stream that group 0 does not know is no question of who leads it.
  return call.shard && (code == Errc::kUnavailable || code == Errc::kNotFound);
}

}  // namespace

ClientCore::ClientCore(Options options) : options_(std::move(options)), seed_(options_.seed) {
  CHECK(!options_.endpoints.empty());
}

void ClientCore::start(std::function<void(std::optional<Error>)> done, Moment now) {
  starting_ = Starting{.done = std::move(done), .errors = {}, .tried = 0};
  wire::Request request;
  request.mutable_routing();
  // An endpoint given twice shares its connection, which may be pausing already: submit() then
  // ends at once and the next one is tried.
  endpoint(0).submit(kStartToken, std::move(request), {}, now + 2 * options_.connect_timeout, now);
  drain(now);
}

void ClientCore::on_start_result(CallResult result, Moment now) {
  if (!starting_) {
    return;
  }
  // A server that answers at all, even with a failure, has shaken hands.
  if (!result.error || result.response.has_failure()) {
    routing_.observe(result.response);
    end_start(std::nullopt);
    return;
  }
  const std::string& address = options_.endpoints.at(starting_->tried);
  const std::string& why = result.error->message();
  starting_->errors += starting_->errors.empty() ? "" : "; ";
  // Most messages begin with the address already.
  starting_->errors += why.starts_with(address) ? why : address + ": " + why;
  if (++starting_->tried == options_.endpoints.size()) {
    const Errc code =
        result.error->code() == Errc::kUnsupported ? Errc::kUnsupported : Errc::kUnavailable;
    end_start(Error(code, "no endpoint can be reached (" + starting_->errors + ")"));
    return;
  }
  current_endpoint_ = starting_->tried;
  wire::Request request;
  request.mutable_routing();
  endpoint(current_endpoint_)
      .submit(kStartToken, std::move(request), {}, now + 2 * options_.connect_timeout, now);
}

void ClientCore::end_start(std::optional<Error> error) {
  CHECK(starting_.has_value());
  auto done = std::move(starting_->done);
  starting_.reset();
  ended_.push_back(
      {.done = [done = std::move(done)](const CallResult& result) { done(result.error); },
       .result = {
           .error = std::move(error), .maybe_processed = false, .response = {}, .payload = {}}});
}

void ClientCore::call(Call call, Moment now) {
  const std::uint64_t token = next_token_++;
  Pending pending{.call = std::move(call),
                  .retry_at = kMomentMax,
                  .backoff = Backoff(options_.backoff, next_seed()),
                  .maybe_processed = false,
                  .trouble = std::nullopt};
  const auto [at, inserted] = pending_.emplace(token, std::move(pending));
  if (stopped_ || pending_.size() > kCallsMax) {
    end(token, {.error = stopped_ ? Error(Errc::kCancelled, "the client is closed")
                                  : Error(Errc::kOverloaded, "too many calls at once"),
                .maybe_processed = false,
                .response = {},
                .payload = {}});
    return;
  }
  attempt(token, at->second, now);
  drain(now);
}

std::optional<ClientCore::ConnectionId> ClientCore::connection_to(std::string_view address) {
  if (const auto found = by_address_.find(address); found != by_address_.end()) {
    return found->second;
  }
  if (connections_.size() >= kConnectionsMax + options_.endpoints.size()) {
    return std::nullopt;
  }
  const auto id = static_cast<ConnectionId>(connections_.size());
  connections_.push_back(std::make_unique<ConnectionCore>(
      ConnectionCore::Options{.address = std::string(address),
                              .client_name = options_.client_name,
                              .connect_timeout = options_.connect_timeout,
                              .backoff = options_.backoff,
                              .seed = next_seed()}));
  by_address_.emplace(address, id);
  return id;
}

ConnectionCore& ClientCore::endpoint(std::size_t index) {
  const auto id = connection_to(options_.endpoints.at(index));
  CHECK(id.has_value());  // the bound leaves room for every endpoint
  return *connections_.at(*id);
}

std::optional<ClientCore::ConnectionId> ClientCore::any_connection() {
  const std::size_t count = options_.endpoints.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t candidate = (current_endpoint_ + i) % count;
    const auto id = connection_to(options_.endpoints.at(candidate));
    if (id && connections_.at(*id)->usable()) {
      current_endpoint_ = candidate;
      return id;
    }
  }
  return std::nullopt;
}

std::optional<ClientCore::ConnectionId> ClientCore::connection_for(const Call& call) {
  std::optional<std::string_view> leader;
  if (call.shard) {
    leader = routing_.leader_of(*call.shard);
  } else if (wants_meta_leader(call.request)) {
    leader = routing_.meta_leader();
  }
  if (leader) {
    const auto id = connection_to(*leader);
    if (id && connections_.at(*id)->usable()) {
      return id;
    }
  }
  return any_connection();
}

void ClientCore::attempt(std::uint64_t token, Pending& pending, Moment now) {
  pending.retry_at = kMomentMax;
  const auto id = connection_for(pending.call);
  if (id) {
    // The request is kept for another attempt; its payload is shared, not copied.
    const bool again = pending.call.retry != Retry::kNever;
    connections_.at(*id)->submit(token,
                                 again ? pending.call.request : std::move(pending.call.request),
                                 pending.call.payload, pending.call.deadline, now);
    return;
  }
  CallResult result{.error = endpoint(current_endpoint_).last_error(),
                    .maybe_processed = false,
                    .response = {},
                    .payload = {}};
  if (!shall_retry(pending, result)) {
    end(token, std::move(result));
    return;
  }
  pending.trouble = result.error;
  Moment until = kMomentMax;
  for (const auto& connection : connections_) {
    until = connection->usable() ? until : std::min(until, connection->pause_end());
  }
  park(token, pending, until);
}

void ClientCore::park(std::uint64_t token, Pending& pending, Moment until) {
  pending.retry_at = std::min(until, pending.call.deadline);
  parked_.emplace(pending.retry_at, token);
}

bool ClientCore::shall_retry(const Pending& pending, const CallResult& result) const {
  if (stopped_ || !result.error) {
    return false;
  }
  const bool passing = result.error->may_retry() || result.error->outcome_unknown();
  switch (pending.call.retry) {
    case Retry::kNever:
      return false;
    case Retry::kIdempotent:
      return passing;
    case Retry::kUnlessStarted:
      return passing && !result.maybe_processed && !result.error->outcome_unknown();
  }
  return false;
}

void ClientCore::on_result(std::uint64_t token, CallResult result, Moment now) {
  if (token == kStartToken) {
    on_start_result(std::move(result), now);
    return;
  }
  const auto found = pending_.find(token);
  if (found == pending_.end()) {
    return;
  }
  Pending& pending = found->second;
  learn(pending, result, now);
  pending.maybe_processed = pending.maybe_processed || result.maybe_processed;
  if (now < pending.call.deadline && shall_retry(pending, result)) {
    pending.trouble = std::move(result.error);
    park(token, pending, now + pending.backoff.next());
    return;
  }
  if (result.error && pending.call.retry == Retry::kUnlessStarted && result.maybe_processed) {
    result.error = Error(Errc::kUnknownOutcome,
                         "the answer was lost, it may have happened: " + result.error->message());
  }
  result.maybe_processed = pending.maybe_processed;
  end(token, std::move(result));
}

void ClientCore::learn(const Pending& pending, const CallResult& result, Moment now) {
  if (!result.error) {
    routing_.observe(result.response);
    return;
  }
  if (!suggests_stale_routing(pending.call, result)) {
    return;
  }
  auto hint = leader_hint(result);
  const bool known = hint.has_value();
  routing_.correct_leader(pending.call.shard, std::move(hint));
  if (!known) {
    // Another node may know more.
    current_endpoint_ = (current_endpoint_ + 1) % options_.endpoints.size();
    refresh_routing(now);
  }
}

void ClientCore::refresh_routing(Moment now) {
  if (refreshing_ || stopped_) {
    return;
  }
  refreshing_ = true;
  Call refresh;
  refresh.request.mutable_routing();
  refresh.deadline = now + kRefreshTimeout;
  refresh.done = [this](const CallResult&) { refreshing_ = false; };
  const std::uint64_t token = next_token_++;
  const auto [at, inserted] =
      pending_.emplace(token, Pending{.call = std::move(refresh),
                                      .retry_at = kMomentMax,
                                      .backoff = Backoff(options_.backoff, next_seed()),
                                      .maybe_processed = false,
                                      .trouble = std::nullopt});
  attempt(token, at->second, now);
}

void ClientCore::end(std::uint64_t token, CallResult result) {
  const auto found = pending_.find(token);
  ended_.push_back({.done = std::move(found->second.call.done), .result = std::move(result)});
  pending_.erase(found);
}

void ClientCore::expire(std::uint64_t token, const Pending& pending) {
  std::string why = "the deadline passed";
  if (pending.trouble) {
    why += "; the last attempt ended with " + pending.trouble->describe();
  }
  end(token, {.error = Error(Errc::kTimeout, std::move(why)),
              .maybe_processed = pending.maybe_processed,
              .response = {},
              .payload = {}});
}

void ClientCore::stop(const Error& error) {
  stopped_ = true;
  parked_.clear();
  while (!pending_.empty()) {
    const auto& [token, pending] = *pending_.begin();
    end(token, {.error = error,
                .maybe_processed = pending.maybe_processed || pending.retry_at == kMomentMax,
                .response = {},
                .payload = {}});
  }
  if (starting_) {
    end_start(error);
  }
}

void ClientCore::on_connected(ConnectionId connection, std::uint64_t generation, Moment now) {
  connections_.at(connection)->on_connected(generation, now);
  drain(now);
}

void ClientCore::on_lost(ConnectionId connection, std::uint64_t generation, const Error& error,
                         Moment now) {
  connections_.at(connection)->on_lost(generation, error, now);
  drain(now);
}

void ClientCore::on_bytes(ConnectionId connection, std::uint64_t generation, Moment now) {
  connections_.at(connection)->on_bytes(generation, now);
}

void ClientCore::on_message(ConnectionId connection, std::uint64_t generation,
                            wire::Response response, Payload payload, Moment now) {
  ConnectionCore& core = *connections_.at(connection);
  core.on_message(generation, std::move(response), std::move(payload), now);
  if (core.state() == ConnectionCore::State::kReady) {
    limits_ = core.limits();
  }
  drain(now);
}

void ClientCore::on_tick(Moment now) {
  for (const auto& connection : connections_) {
    connection->on_tick(now);
  }
  while (!parked_.empty() && parked_.begin()->first <= now) {
    const std::uint64_t token = parked_.begin()->second;
    parked_.erase(parked_.begin());
    Pending& pending = pending_.at(token);
    if (now >= pending.call.deadline) {
      expire(token, pending);
    } else {
      attempt(token, pending, now);
    }
  }
  drain(now);
}

void ClientCore::drain(Moment now) {
  // A result may start an attempt on another connection, which may end at once; each such round
  // parks or ends a call, so this comes to rest.
  for (bool busy = true; busy;) {
    busy = false;
    // By index: an attempt may add a connection.
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      for (auto& finished : connections_.at(i)->take_finished()) {
        busy = true;
        on_result(finished.token, std::move(finished.result), now);
      }
    }
  }
  // Away from a node that has just failed, also where its pause is over before the next attempt.
  if (!starting_ && !endpoint(current_endpoint_).usable()) {
    current_endpoint_ = (current_endpoint_ + 1) % options_.endpoints.size();
  }
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    for (auto& effect : connections_.at(i)->take_effects()) {
      effects_.push_back({.connection = static_cast<ConnectionId>(i), .what = std::move(effect)});
    }
  }
}

Moment ClientCore::next_wakeup() const {
  Moment at = parked_.empty() ? kMomentMax : parked_.begin()->first;
  for (const auto& connection : connections_) {
    at = std::min(at, connection->next_wakeup());
  }
  return at;
}

}  // namespace lignum::net
