#include "net/connection_core.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/protocol_version.h"
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

namespace {

// Of the deadline on the wire: beyond it the field says "very long".
constexpr Moment kDeadlineMsMax = 3'600'000;
// A tick that comes so late was held up here, and so was the reading of what has arrived: the node
// is asked once more.
constexpr Moment kLate = kSecond;

std::uint32_t wire_deadline(Moment deadline, Moment now) {
  const Moment left_ms = (deadline - now + kMillisecond - 1) / kMillisecond;
  return static_cast<std::uint32_t>(std::clamp<Moment>(left_ms, 1, kDeadlineMsMax));
}

}  // namespace

ConnectionCore::ConnectionCore(Options options)
    : options_(std::move(options)), backoff_(options_.backoff, options_.seed) {}

void ConnectionCore::submit(std::uint64_t token, wire::Request request, Payload payload,
                            Moment deadline, Moment now) {
  if (state_ == State::kBackoff) {
    CHECK(last_error_.has_value());
    finish(token, *last_error_, false);
    return;
  }
  const bool busy = waiting_.size() + sent_.size() >= kOutstandingMax;
  if (busy || buggify(Buggify::kNetConnectionBusy)) {
    finish(token,
           Error(Errc::kOverloaded,
                 "too many requests are on their way to " + options_.address + "; try again later"),
           false);
    return;
  }
  Waiting waiting{.token = token,
                  .request = std::move(request),
                  .payload = std::move(payload),
                  .deadline = deadline};
  if (state_ == State::kReady) {
    transmit(std::move(waiting), now);
    return;
  }
  waiting_.push_back(std::move(waiting));
  if (state_ == State::kIdle) {
    open(now);
  }
}

void ConnectionCore::open(Moment now) {
  state_ = State::kConnecting;
  ++generation_;
  timer_ = now + options_.connect_timeout;
  effects_.emplace_back(OpenSocket{.generation = generation_, .address = options_.address});
}

void ConnectionCore::transmit(Waiting waiting, Moment now) {
  const std::uint64_t id = next_id_++;
  waiting.request.set_id(id);
  waiting.request.set_deadline_ms(wire_deadline(waiting.deadline, now));
  if (sent_.empty()) {
    quiet_since_ = now;
    pinged_at_.reset();
  }
  sent_.emplace(
      id, Sent{.token = waiting.token, .deadline = waiting.deadline, .heard = messages_heard_});
  sent_deadlines_.emplace(waiting.deadline, id);
  effects_.emplace_back(SendMessage{.generation = generation_,
                                    .request = std::move(waiting.request),
                                    .payload = std::move(waiting.payload)});
}

void ConnectionCore::on_connected(std::uint64_t generation, Moment now) {
  if (generation != generation_ || state_ != State::kConnecting) {
    return;
  }
  shake_hands(now);
}

void ConnectionCore::shake_hands(Moment now) {
  state_ = State::kHandshaking;
  timer_ = now + options_.connect_timeout;
  hello_id_ = next_id_++;
  wire::Request request;
  request.set_id(hello_id_);
  request.set_deadline_ms(wire_deadline(timer_, now));
  request.mutable_hello()->set_protocol_version(kProtocolVersion);
  request.mutable_hello()->set_client_name(options_.client_name);
  effects_.emplace_back(
      SendMessage{.generation = generation_, .request = std::move(request), .payload = {}});
}

void ConnectionCore::on_hello(const wire::Response& response, Moment now) {
  if (const auto error = failure_of(response)) {
    lose(*error, now);
    return;
  }
  if (!response.has_hello() || response.hello().protocol_version() != kProtocolVersion) {
    lose(Error(Errc::kUnsupported, options_.address + " speaks another version of the protocol"),
         now);
    return;
  }
  const wire::HelloReply& hello = response.hello();
  const auto take = [](std::size_t& limit, std::uint32_t told) {
    limit = told == 0 ? limit : told;
  };
  take(limits_.message_bytes, hello.message_bytes_max());
  take(limits_.batch_bytes, hello.batch_bytes_max());
  take(limits_.record_bytes, hello.record_bytes_max());
  state_ = State::kReady;
  timer_ = kMomentMax;
  last_error_.reset();
  backoff_.reset();
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    transmit(std::move(waiting), now);
  }
}

void ConnectionCore::on_message(std::uint64_t generation, wire::Response response, Payload payload,
                                Moment now) {
  if (generation != generation_ || (state_ != State::kHandshaking && state_ != State::kReady)) {
    return;
  }
  ++messages_heard_;
  on_bytes(generation, now);
  if (const auto last_words = failure_of(response); response.id() == 0 && last_words) {
    // The node says why it closes (docs/wire_protocol.md).
    lose(*last_words, now);
    return;
  }
  if (state_ == State::kHandshaking) {
    if (response.id() == hello_id_) {
      on_hello(response, now);
    } else {
      lose(Error(Errc::kProtocol, options_.address + " answered a request that was not sent"), now);
    }
    return;
  }
  const auto found = sent_.find(response.id());
  if (found == sent_.end()) {
    return;  // an answer that came after its deadline, or came twice
  }
  sent_deadlines_.erase({found->second.deadline, found->first});
  CallResult result{.error = failure_of(response),
                    .maybe_processed = false,
                    .response = std::move(response),
                    .payload = std::move(payload)};
  // Neither body nor failure tells nothing about what the server did.
  result.maybe_processed = result.error.has_value() && !result.response.has_failure();
  finished_.push_back({.token = found->second.token, .result = std::move(result)});
  sent_.erase(found);
}

void ConnectionCore::on_bytes(std::uint64_t generation, Moment now) {
  if (generation == generation_) {
    quiet_since_ = now;
    pinged_at_.reset();
  }
}

void ConnectionCore::on_lost(std::uint64_t generation, const Error& error, Moment now) {
  if (generation != generation_ || state_ == State::kIdle || state_ == State::kBackoff) {
    return;
  }
  lose(error, now);
}

void ConnectionCore::lose(const Error& error, Moment now) {
  // What the system said stays readable, the code says that another attempt may succeed.
  const bool final = error.code() == Errc::kUnsupported || error.code() == Errc::kPermissionDenied;
  last_error_ = final ? error : Error(Errc::kUnavailable, error.message());
  effects_.emplace_back(CloseSocket{.generation = generation_});
  state_ = State::kBackoff;
  timer_ = now + backoff_.next();
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    finish(waiting.token, *last_error_, false);
  }
  for (const auto& [id, sent] : std::exchange(sent_, {})) {
    finish(sent.token, *last_error_, true);
  }
  sent_deadlines_.clear();
}

void ConnectionCore::finish(std::uint64_t token, Error error, bool maybe_processed) {
  finished_.push_back({.token = token,
                       .result = {.error = std::move(error),
                                  .maybe_processed = maybe_processed,
                                  .response = {},
                                  .payload = {}}});
}

void ConnectionCore::on_tick(Moment now) {
  if (now >= timer_) {
    if (state_ == State::kBackoff) {
      state_ = State::kIdle;
      timer_ = kMomentMax;
    } else {
      lose(Error(Errc::kUnavailable, options_.address + " did not answer in time"), now);
      return;
    }
  }
  expire_waiting(now);
  const bool missed = expire_sent(now);
  const Moment end = silence_end();
  if (missed || (pinged_at_ && now >= end && now < end + kLate)) {
    lose(Error(Errc::kUnavailable, options_.address + " has fallen silent"), now);
  } else if (now >= end) {
    ping(now);
  }
}

Moment ConnectionCore::silence_end() const {
  if (state_ != State::kReady || sent_.empty() || sent_.size() >= kJudgedBelow) {
    return kMomentMax;
  }
  return pinged_at_ ? *pinged_at_ + options_.ping_timeout : quiet_since_ + options_.ping_after;
}

void ConnectionCore::ping(Moment now) {
  // Its answer is a sign of life like any other and is looked for nowhere.
  wire::Request request;
  request.set_id(next_id_++);
  request.set_deadline_ms(wire_deadline(now + options_.ping_timeout, now));
  request.mutable_ping();
  effects_.emplace_back(
      SendMessage{.generation = generation_, .request = std::move(request), .payload = {}});
  pinged_at_ = now;
}

void ConnectionCore::expire_waiting(Moment now) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (waiting.deadline > now) {
      return false;
    }
    finish(waiting.token,
           Error(Errc::kTimeout, "no connection to " + options_.address + " before the deadline"),
           false);
    return true;
  });
}

bool ConnectionCore::expire_sent(Moment now) {
  bool silent = false;
  while (!sent_deadlines_.empty() && sent_deadlines_.begin()->first <= now) {
    const auto found = sent_.find(sent_deadlines_.begin()->second);
    silent = silent || messages_heard_ == found->second.heard;
    finish(found->second.token,
           Error(Errc::kTimeout, options_.address + " did not answer before the deadline"), true);
    sent_.erase(found);
    sent_deadlines_.erase(sent_deadlines_.begin());
  }
  return silent;
}

Moment ConnectionCore::next_wakeup() const {
  Moment at = std::min(timer_, silence_end());
  for (const Waiting& waiting : waiting_) {
    at = std::min(at, waiting.deadline);
  }
  if (!sent_deadlines_.empty()) {
    at = std::min(at, sent_deadlines_.begin()->first);
  }
  return at;
}

}  // namespace lignum::net
