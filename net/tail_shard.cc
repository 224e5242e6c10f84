#include "net/tail_shard.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

// On top of the wait: what a read itself may take.
constexpr Moment kReadTimeout = 10 * kSecond;
// A clock that is behind is asked again at this pace.
constexpr Moment kSkewPause = 200 * kMillisecond;
// An empty answer that came sooner than this did not wait, though asked to.
constexpr Moment kHastyAnswer = 50 * kMillisecond;
constexpr Moment kHastyPause = 10 * kMillisecond;

}  // namespace

TailShard::TailShard(const Settings& settings, ShardKey key, std::string stream,
                     std::uint32_t token_base, std::uint64_t seed)
    : settings_(settings),
      key_(key),
      stream_(std::move(stream)),
      next_token_(static_cast<std::uint64_t>(token_base) << 32U),
      backoff_(settings.backoff, seed) {}

void TailShard::begin(Offset from, std::optional<Offset> end) {
  position_ = from;
  fetch_ = from;
  entry_ = from;
  end_ = end;
  bound_ = std::numeric_limits<TimeUs>::min();
  finished_ = false;
  queue_.clear();
  queued_bytes_ = 0;
  gap_.reset();
  poll_.reset();
  close_.reset();
  poll_at_.reset();
  close_at_.reset();
  check_end();
}

void TailShard::check_end() {
  const bool past_end = end_ && fetch_ >= *end_;
  // Time is counted in whole microseconds: what comes later than until - 1 is not before until.
  const bool past_until = settings_.until && bound_ >= *settings_.until - 1;
  finished_ = finished_ || past_end || past_until;
}

std::uint32_t TailShard::read_bytes() const {
  if (buggify(Buggify::kNetShortRead)) return kReadBytesMin;
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(settings_.buffer_bytes / 2, kReadBytesMin, kReadBytesMax));
}

TailRequest TailShard::read(Moment now, std::uint32_t wait_ms) {
  TailRequest request{.token = next_token_++,
                      .request = {},
                      .shard = key_,
                      .retry = Retry::kNever,
                      .deadline = now + wait_ms * kMillisecond + kReadTimeout};
  wire::ReadRequest& body = *request.request.mutable_read();
  body.set_stream(key_.stream.value());
  body.set_shard(key_.shard.value());
  body.set_from_offset(fetch_.value());
  body.set_bytes_max(read_bytes());
  body.set_wait_ms(wait_ms);
  if (settings_.level_mask != 0xFFFFFFFFU) {
    body.set_level_mask(settings_.level_mask);
  }
  return request;
}

void TailShard::turn(Moment now, std::vector<TailRequest>& requests) {
  wakeup_ = kMomentMax;
  const bool room = queue_.empty() || queued_bytes_ + read_bytes() <= settings_.buffer_bytes;
  if (finished_ || gap_ || poll_ || !room) {
    return;
  }
  if (poll_at_ && now < *poll_at_) {
    wakeup_ = *poll_at_;
    return;
  }
  poll_at_.reset();
  const bool waits = settings_.follow && !buggify(Buggify::kNetNoWait);
  requests.push_back(read(now, waits ? kPollWaitMs : 0));
  poll_ = Read{.token = requests.back().token, .from = fetch_, .sent = now};
}

void TailShard::ask_close(TimeUs target, Moment now, std::vector<TailRequest>& requests) {
  if (finished_ || gap_ || close_ || bound_ >= target) {
    return;
  }
  if (close_at_ && now < *close_at_) {
    wakeup_ = std::min(wakeup_, *close_at_);
    return;
  }
  close_at_.reset();
  requests.push_back(read(now, kPollWaitMs));
  requests.back().request.mutable_read()->set_close_us(target);
  close_ = Read{.token = requests.back().token, .from = fetch_, .sent = now};
}

TailShard::Effect TailShard::on_reply(std::uint64_t token, const CallResult& result, Moment now) {
  if (poll_ && poll_->token == token) {
    const Read read = *poll_;
    poll_.reset();
    if (result.error) {
      return on_trouble(*result.error, result.response, now, poll_at_);
    }
    const Effect effect = on_read(read, result);
    if (settings_.follow && fetch_ == read.from && now - read.sent < kHastyAnswer) {
      poll_at_ = now + kHastyPause;
    }
    return effect;
  }
  if (close_ && close_->token == token) {
    const Read read = *close_;
    close_.reset();
    if (result.error) {
      return on_trouble(*result.error, result.response, now, close_at_);
    }
    const Effect effect = on_read(read, result);
    if (fetch_ == read.from && now - read.sent < kHastyAnswer) {
      close_at_ = now + kHastyPause;
    }
    return effect;
  }
  return Effect::kNone;
}

TailShard::Effect TailShard::on_trouble(const Error& error, const wire::Response& response,
                                        Moment now, std::optional<Moment>& retry) {
  if (error.code() == Errc::kTrimmed && response.failure().has_start_offset()) {
    meet_gap(Offset(response.failure().start_offset()), error);
    return Effect::kNone;
  }
  const bool unreadable = error.code() == Errc::kCorrupt || error.code() == Errc::kIo;
  if (unreadable && response.failure().has_readable_offset()) {
    meet_gap(Offset(response.failure().readable_offset()), error);
    return Effect::kNone;
  }
  if (error.code() == Errc::kSkew) {
    stalled_ = error;
    retry = now + kSkewPause;
    return Effect::kNone;
  }
  if (error.may_retry() || error.code() == Errc::kNotFound) {
    stalled_ = error;
    retry = now + backoff_.next();
    return error.code() == Errc::kNotFound ? Effect::kStreamMayBeGone : Effect::kNone;
  }
  error_ = Error(error.code(), place() + ": " + error.message());
  return Effect::kFailed;
}

void TailShard::meet_gap(Offset to, const Error& error) {
  if (to <= fetch_ || gap_) {
    return;
  }
  if (!mutant(Mutant::kTailJumpsAGap)) {
    gap_ = Gap{
        .stream = stream_, .shard = key_.shard, .from = fetch_, .to = to, .reason = error.code()};
    gap_error_ = error;
  }
  fetch_ = to;
  entry_ = to;
}

TailShard::Effect TailShard::on_read(const Read& read, const CallResult& result) {
  stalled_.reset();
  backoff_.reset();
  // The other read was faster: what this one brings is known already.
  if (read.from != fetch_ || finished_ || gap_) {
    return Effect::kNone;
  }
  if (!result.response.has_read()) {
    error_ = Error(Errc::kProtocol, place() + ": the answer to a read is none");
    return Effect::kFailed;
  }
  if (const auto taken = take_batches(result.response.read(), result.payload); !taken) {
    error_ = taken.error();
    return Effect::kFailed;
  }
  const wire::ReadReply& reply = result.response.read();
  const Offset next(reply.next_offset());
  if (next < fetch_ || (next > fetch_ && !skips_allowed())) {
    error_ = Error(Errc::kProtocol, place() + ": the node goes on at offset " +
                                        std::to_string(next.value()) + " instead");
    return Effect::kFailed;
  }
  fetch_ = next;
  if (reply.next_offset() >= reply.watermark()) {
    bound_ = std::max(bound_, reply.closed_time_us());
  }
  check_end();
  return Effect::kNone;
}

Result<void> TailShard::take_batches(const wire::ReadReply& reply, const Payload& payload) {
  std::size_t at = 0;
  for (const wire::BatchInfo& info : reply.batches()) {
    const Offset base(info.base_offset());
    const Offset next = base + info.record_count();
    if (info.bytes() > payload.size() - at || info.record_count() == 0 || next <= fetch_ ||
        (base < fetch_ && fetch_ != entry_) || next > Offset(reply.next_offset())) {
      return fail(Errc::kProtocol, place() + ": the node's list of batches makes no sense");
    }
    if (base > fetch_ && !skips_allowed()) {
      return fail(Errc::kProtocol, place() + ": the node left out the records up to offset " +
                                       std::to_string(base.value()));
    }
    if (info.append_time_us() <= bound_) {
      return fail(Errc::kProtocol, place() + ": a batch is stamped before time that was closed");
    }
    bound_ = info.append_time_us();
    fetch_ = next;
    queued_bytes_ += info.bytes();
    queue_.push_back({.bytes = payload.slice(at, info.bytes()),
                      .base = base,
                      .record_count = info.record_count(),
                      .append_time = info.append_time_us(),
                      .level_mask = info.level_mask()});
    at += info.bytes();
  }
  return {};
}

TailShard::Batch TailShard::take() {
  Batch batch = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= batch.bytes.size();
  return batch;
}

void TailShard::clear_gap() {
  CHECK(gap_.has_value());
  position_ = gap_->to;
  gap_.reset();
  check_end();
}

void TailShard::finish() {
  finished_ = true;
  fetch_ = position_;
  queue_.clear();
  queued_bytes_ = 0;
  gap_.reset();
}

Offset TailShard::resume_from() const {
  if (!queue_.empty() || gap_) {
    return position_;
  }
  return std::max(position_, end_ ? std::min(fetch_, *end_) : fetch_);
}

std::string TailShard::place() const {
  return stream_ + "/" + std::to_string(key_.shard.value()) + " at offset " +
         std::to_string(fetch_.value());
}

}  // namespace lignum::net
