#include "server/group/log_repairer.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "net/peer_message.h"
#include "net/repair_messages.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/image_transfer.h"
#include "storage/log_mark.h"
#include "storage/log_repair.h"

namespace lignum::server {

using Answer = net::RepairReply::Answer;

LogRepairer::LogRepairer(Parts parts)
    : parts_(std::move(parts)),
      fetch_({.group = parts_.group,
              .incarnation = parts_.incarnation,
              .self = parts_.self,
              .recovery = parts_.recovery,
              .ports = parts_.ports,
              .directory = parts_.images,
              .run =
                  [this](Work work, std::function<void(const Result<void>&)> then) {
                    run(std::move(work), std::move(then));
                  },
              .done = [this](const std::optional<storage::LogMark>& mark) { fetched(mark); },
              .failed = [this](const Error& error) { fail_with(error); }}),
      alive_(std::make_shared<bool>(true)) {
  std::erase(parts_.peers, parts_.self);
  // An answer to a question of an earlier life is none to one of this.
  number_ = static_cast<std::uint64_t>(parts_.ports.now().wall_us);
  first_number_ = number_ + 1;
}

LogRepairer::~LogRepairer() { *alive_ = false; }

void LogRepairer::start(std::uint32_t after_ticks) {
  parts_.ports.on_wake([this, alive = alive_] {
    if (*alive) on_timer();
  });
  parts_.ports.wake_at(parts_.ports.now().monotonic_us + parts_.tick_us);
  if (after_ticks == 0) return begin();
  resting_ = true;
  ticks_left_ = after_ticks;
}

void LogRepairer::run(Work work, std::function<void(const Result<void>&)> then) {
  busy_ = true;
  ticks_left_.reset();
  parts_.ports.run(Pool::kBackground, std::move(work),
                   [this, alive = alive_, then = std::move(then)](const Result<void>& outcome) {
                     if (!*alive) return;
                     busy_ = false;
                     if (stopped_) return parts_.ports.post(std::exchange(stopped_, nullptr));
                     if (!over_) then(outcome);
                   });
}

void LogRepairer::begin() {
  const std::shared_ptr<Bench> before = std::exchange(bench_, std::make_shared<Bench>());
  missing_.reset();
  state_missing_ = false;
  anew_ = false;
  goal_.reset();
  ended_ = false;
  run(
      [this, bench = bench_, before]() -> Result<void> {
        if (before->repair) before->repair->discard();
        TRY_ASSIGN(repair, parts_.begin());
        bench->repair = std::move(repair);
        return advance(*bench, parts_);
      },
      [this](const Result<void>& outcome) { worked(outcome); });
}

Result<void> LogRepairer::advance(Bench& bench, const Parts& parts) {
  TRY_ASSIGN(missing, bench.repair->advance());
  bench.missing = missing;
  const auto state = bench.state;
  if (!state || bench.repair->making_anew()) return {};
  // The log has holes up to it from here on, and no other state fills them.
  bench.state.reset();
  const LogId id = state->id;
  TRY_ASSIGN(directory, parts.images());
  TRY_ASSIGN(named, storage::settle_staged_image(*directory, parts.incarnation, [id](Index index) {
               return index == id.index ? std::optional(id) : std::nullopt;
             }));
  if (named) return {};
  return fail(Errc::kCorrupt, "the state that the log was made anew from is gone");
}

void LogRepairer::work(std::move_only_function<Result<void>(storage::LogRepair&)> step) {
  run(
      [this, bench = bench_, step = std::move(step)]() mutable -> Result<void> {
        TRY(step(*bench->repair));
        return advance(*bench, parts_);
      },
      [this](const Result<void>& outcome) { worked(outcome); });
}

void LogRepairer::worked(const Result<void>& outcome) {
  if (bench_->repair) {
    survey_ = bench_->repair->survey();
    mended_ = mended_ || !survey_->sound();
  }
  if (!outcome && bench_->repair && bench_->repair->disk_failed()) {
    return disk_failed(outcome.error());
  }
  if (!outcome) return fail_with(outcome.error());
  missing_ = bench_->missing;
  if (!missing_ && parts_.state_from && !anew_) return fetch_state();
  if (!missing_) return finish();
  const bool reached = !missing_->end && goal_ && missing_->after.id.index >= *goal_;
  if (reached || (mutant(Mutant::kDamagedReplicaVotes) && !ended_)) return end_here();
  refusals_ = 0;
  denied_ = false;
  idle_rounds_ = 0;
  ask();
}

void LogRepairer::end_here() {
  ended_ = true;
  work([](storage::LogRepair& repair) -> Result<void> {
    repair.end_here();
    return {};
  });
}

void LogRepairer::disk_failed(const Error& error) {
  over_ = true;
  parts_.ports.disk_failed(fmt::format("group {}: {}", parts_.group.value(), error.describe()));
}

void LogRepairer::fail_with(const Error& error) {
  if (const auto lost = parts_.sync_error()) return disk_failed(*lost);
  const std::int64_t now = parts_.ports.now().monotonic_us;
  if (error.code() != Errc::kOverloaded && (!warned_at_ || now >= *warned_at_ + kTellEveryUs)) {
    warned_at_ = now;
    parts_.ports.report(Severity::kWarn,
                        fmt::format("group {}: the repair of its log begins anew: {}",
                                    parts_.group.value(), error.describe()));
  }
  missing_.reset();
  state_missing_ = false;
  ++peer_;
  resting_ = true;
  ticks_left_ = error.code() == Errc::kNoSpace ? kNoSpaceTicks : kRoundTicks;
}

void LogRepairer::ask() {
  resting_ = false;
  if (parts_.peers.empty() || !missing_) {
    ticks_left_ = kRoundTicks;
    return;
  }
  peer_ %= parts_.peers.size();
  net::RepairRequest request{.from = parts_.self,
                             .to = parts_.peers[peer_],
                             .number = ++number_,
                             .after = missing_->after,
                             .last = std::nullopt};
  if (missing_->end) request.last = missing_->end->index;
  ticks_left_ = kAnswerTicks;
  parts_.ports.send({.group = parts_.group, .incarnation = parts_.incarnation, .body = request});
}

void LogRepairer::ask_next() {
  ++peer_;
  if (++refusals_ < parts_.peers.size()) return ask();
  // Whoever is silent may have it.
  const bool denied = std::exchange(denied_, false);
  if (!denied || !missing_ || !missing_->end || parts_.peers.empty()) return rest();
  // What was added of a log that is made anew is not given up for a round or two.
  if (bench_->repair->making_anew() && ++idle_rounds_ < kAnewRounds) return rest();
  ticks_left_.reset();
  fetch_.begin(parts_.peers, missing_->end->index);
}

void LogRepairer::rest() {
  tell();
  refusals_ = 0;
  resting_ = true;
  ticks_left_ = kRoundTicks;
}

void LogRepairer::fetch_state() {
  state_missing_ = true;
  if (parts_.peers.empty()) return rest();
  ticks_left_.reset();
  // One that ends right before the log is enough.
  fetch_.begin(parts_.peers, Index(state_from() - 1));
}

void LogRepairer::fetched(const std::optional<storage::LogMark>& mark) {
  if (!mark) return rest();
  std::string why;
  if (missing_ && missing_->end) {
    why = fmt::format("no other member has entries {} to {} of its log any more",
                      missing_->after.id.index.value() + 1, missing_->end->index.value());
  } else if (missing_) {
    why = fmt::format("the leader has no entry {} of its log any more",
                      missing_->after.id.index.value() + 1);
  } else {
    CHECK(state_missing_);
    why = fmt::format("its state does not reach its log, which begins at entry {}", state_from());
  }
  const bool here = state_missing_ && !parts_.make_anew;
  parts_.ports.report(
      Severity::kWarn,
      fmt::format("group {}: {}; it {} the state of another one at entry {}", parts_.group.value(),
                  why, here ? "takes" : "is made anew from", mark->id.index.value()));
  mended_ = true;
  if (here) return finish();
  anew_ = std::exchange(state_missing_, false);
  bench_->state = *mark;
  work([state = *mark](storage::LogRepair& repair) { return repair.begin_anew(state); });
}

void LogRepairer::receive(net::PeerMessage message) {
  if (over_ || stopped_ || message.incarnation != parts_.incarnation) return;
  const ReplicaId from = message.from();
  if (from != parts_.self && parts_.peers.size() < kPeersMax &&
      std::ranges::find(parts_.peers, from) == parts_.peers.end()) {
    parts_.peers.push_back(from);
  }
  if (const auto* const request = std::get_if<net::RepairRequest>(&message.body)) {
    on_request(*request);
  } else if (auto* const reply = std::get_if<net::RepairReply>(&message.body)) {
    on_reply(std::move(*reply));
  } else if (const auto* const piece = std::get_if<net::RepairImage>(&message.body)) {
    fetch_.receive(*piece);
  }
}

void LogRepairer::on_reply(net::RepairReply reply) {
  const bool asked = reply.number >= first_number_ && reply.number <= number_;
  if (busy_ || !missing_ || !ticks_left_ || !asked || reply.after != missing_->after) return;
  // What is of use is taken also where it comes late.
  const bool of_leader = reply.answer == Answer::kEnd || reply.answer == Answer::kCleaned;
  const bool of_use = of_leader ? !missing_->end : !reply.items.empty();
  if (!of_use && (resting_ || reply.number != number_)) return;
  if (reply.answer == Answer::kEnd && !missing_->end) return end_here();
  if (reply.answer == Answer::kCleaned && !missing_->end) {
    ticks_left_.reset();
    return fetch_.begin(parts_.peers, reply.end);
  }
  if (reply.answer != Answer::kItems || reply.items.empty()) {
    denied_ = true;
    return ask_next();
  }
  if (!missing_->end && !goal_) goal_ = reply.end;
  add(std::move(reply.items));
}

void LogRepairer::add(std::vector<storage::KeptItem> items) {
  auto added = std::make_shared<storage::LogRepair::Added>();
  run(
      [this, bench = bench_, added, items = std::move(items)]() -> Result<void> {
        TRY_ASSIGN(outcome, bench->repair->add(items));
        *added = outcome;
        if (outcome != storage::LogRepair::Added::kTaken) return {};
        return advance(*bench, parts_);
      },
      [this, added](const Result<void>& outcome) {
        if (!outcome || *added == storage::LogRepair::Added::kTaken) return worked(outcome);
        // Whoever is asked next may have it yet.
        denied_ = true;
        ask_next();
      });
}

void LogRepairer::on_request(const net::RepairRequest& request) {
  if (answering_) return;
  auto reply = std::make_shared<net::RepairReply>(net::RepairReply{.from = parts_.self,
                                                                   .to = request.from,
                                                                   .number = request.number,
                                                                   .answer = Answer::kNothing,
                                                                   .after = request.after});
  if (!survey_ || !request.last) return send(std::move(*reply));
  answering_ = true;
  parts_.ports.run(
      Pool::kRead,
      [reply, survey = survey_, to = *request.last, most = parts_.piece_bytes]() -> Result<void> {
        TRY_ASSIGN(items, survey->read_kept(reply->after.id.index, to, most));
        reply->items = std::move(items);
        return {};
      },
      [this, alive = alive_, reply](const Result<void>& outcome) {
        if (!*alive) return;
        answering_ = false;
        if (outcome && !reply->items.empty()) reply->answer = Answer::kItems;
        if (!over_) send(std::move(*reply));
      });
}

void LogRepairer::send(net::RepairReply reply) {
  parts_.ports.send(
      {.group = parts_.group, .incarnation = parts_.incarnation, .body = std::move(reply)});
}

void LogRepairer::on_timer() {
  if (over_ || stopped_) return;
  parts_.ports.wake_at(parts_.ports.now().monotonic_us + parts_.tick_us);
  fetch_.tick();
  if (busy_ || !ticks_left_ || --*ticks_left_ > 0) return;
  if (!parts_.begin) return finish();
  if (state_missing_) return fetch_state();
  if (!missing_) return begin();
  if (resting_) return ask();
  ask_next();
}

void LogRepairer::tell() {
  const std::int64_t now = parts_.ports.now().monotonic_us;
  if ((!missing_ && !state_missing_) || (told_at_ && now < *told_at_ + kTellEveryUs)) return;
  told_at_ = now;
  parts_.ports.report(Severity::kError,
                      fmt::format("group {} stays halted: {}; they are asked again",
                                  parts_.group.value(), describe_missing()));
}

std::string LogRepairer::describe_missing() const {
  if (!missing_) {
    return fmt::format(
        "its state does not reach its log, which begins at entry {}, and no other "
        "member gives its own",
        state_from());
  }
  const std::uint64_t first = missing_->after.id.index.value() + 1;
  if (missing_->end) {
    return fmt::format("no other member has entries {} to {} of its log", first,
                       missing_->end->index.value());
  }
  return fmt::format(
      "it is not known how far its log reached from entry {} on, and no leader answers", first);
}

void LogRepairer::finish() {
  over_ = true;
  parts_.ports.post([this, alive = alive_] {
    if (*alive) parts_.whole(mended_);
  });
}

void LogRepairer::stop(Task done) {
  CHECK(!stopped_);
  if (!busy_) {
    over_ = true;
    return parts_.ports.post(std::move(done));
  }
  stopped_ = std::move(done);
}

}  // namespace lignum::server
