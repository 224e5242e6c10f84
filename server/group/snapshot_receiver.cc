#include "server/group/snapshot_receiver.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/snapshot_messages.h"
#include "raft/check.h"
#include "raft/config_history.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/configured_state.h"
#include "server/group/ports.h"
#include "storage/image_transfer.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"
#include "storage/snapshot_image.h"

namespace lignum::server {

namespace {

// Of two offers the later one has more.
auto age_of(const net::SnapshotOffer& offer) {
  return std::tuple(offer.term, offer.session, offer.last.id.index);
}

Index end_of(const storage::KeptItem& item) {
  return item.skip_to ? item.skip_to->id.index : item.entry.header.index;
}

}  // namespace

SnapshotReceiver::SnapshotReceiver(Parts parts)
    : parts_(std::move(parts)), alive_(std::make_shared<bool>(true)) {}

SnapshotReceiver::~SnapshotReceiver() { *alive_ = false; }

void SnapshotReceiver::on_offer(const net::SnapshotOffer& offer, Index commit) {
  if (stopped_) return;
  if (offer_ && age_of(offer) <= age_of(*offer_)) return;
  if (offer.last.id.index <= commit) {
    // Needless: the core says so to the leader.
    if (!busy_) parts_.ready(offer);
    return;
  }
  if (busy_) {
    if (!next_offer_ || age_of(*next_offer_) < age_of(offer)) next_offer_ = offer;
    return;
  }
  offer_ = offer;
  placed_ = false;
  idle_ticks_ = 0;
  drop_image();
  if (staged_->log && staged_->log->mark().id.index > offer.last.id.index) drop_log();
  pull();
}

bool SnapshotReceiver::answers(const ReplicaId& from, std::uint64_t session, LogId snapshot) const {
  return !stopped_ && !busy_ && offer_ && offer_->from == from && offer_->session == session &&
         offer_->last.id == snapshot;
}

void SnapshotReceiver::send(net::SnapshotPull pull) {
  CHECK(offer_.has_value());
  pull.from = offer_->to;
  pull.to = offer_->from;
  pull.session = offer_->session;
  pull.snapshot = offer_->last.id;
  parts_.ports.send(
      {.group = parts_.group, .incarnation = parts_.incarnation, .body = std::move(pull)});
}

void SnapshotReceiver::pull_nothing() { send({.want = net::SnapshotPull::Want::kNothing}); }

void SnapshotReceiver::pull() {
  if (!offer_) return;
  const Index last = offer_->last.id.index;
  net::SnapshotPull pull;
  if (!placed_) {
    pull.want = net::SnapshotPull::Want::kPlace;
    if (staged_->log) pull.known.push_back(staged_->log->mark());
    for (const storage::LogMark& mark :
         parts_.log.boundaries(net::kSnapshotKnownMax - pull.known.size())) {
      if (mark.id.index <= last) pull.known.push_back(mark);
    }
  } else if (staged_->log->mark().id.index < last) {
    pull.want = net::SnapshotPull::Want::kLog;
    pull.known = {staged_->log->mark()};
  } else if (staged_->image_bytes == offer_->image_bytes) {
    return verify();
  } else {
    pull.want = net::SnapshotPull::Want::kImage;
    pull.image_from = staged_->image_bytes;
  }
  send(std::move(pull));
}

void SnapshotReceiver::on_log(net::SnapshotLog piece) {
  if (!answers(piece.from, piece.session, piece.snapshot)) return;
  if (!placed_) {
    if (piece.items.empty()) begin_at(piece.after);
    return;
  }
  if (piece.items.empty() || piece.after != staged_->log->mark()) return;
  CHECK(offer_.has_value());
  if (end_of(piece.items.back()) > offer_->last.id.index) return;
  parts_.log.extend(*staged_->log);
  auto items = std::make_shared<std::vector<storage::KeptItem>>(std::move(piece.items));
  run([staged = staged_, items] { return staged->log->add(*items); }, [this] { pull(); });
}

void SnapshotReceiver::begin_at(const storage::LogMark& after) {
  const bool goes_on = staged_->log && staged_->log->mark() == after;
  if (!goes_on) {
    const std::vector<storage::LogMark> ours = parts_.log.boundaries(net::kSnapshotKnownMax);
    // An answer to an earlier question: the segment is gone, or was never named.
    if (after != storage::LogMark{} && std::ranges::find(ours, after) == ours.end()) return;
    drop_log();
    staged_->log = parts_.log.begin_stage(after);
  }
  placed_ = true;
  pull();
}

void SnapshotReceiver::on_image(const net::SnapshotImage& piece) {
  if (!answers(piece.from, piece.session, piece.snapshot) || !placed_) return;
  CHECK(offer_.has_value());
  const bool log_is_here = staged_->log->mark().id.index == offer_->last.id.index;
  if (!log_is_here || piece.from_byte != staged_->image_bytes) return;
  const std::uint64_t left = offer_->image_bytes - staged_->image_bytes;
  if (piece.bytes.empty() || piece.bytes.size() > left) return;
  run(
      [staged = staged_, images = &parts_.checkpoints.images(),
       bytes = piece.bytes]() -> Result<void> {
        if (!staged->image) {
          TRY_ASSIGN(image, storage::StagedImage::create(*images));
          staged->image = std::move(image);
        }
        TRY(staged->image->append(bytes.bytes()));
        staged->image_bytes += bytes.size();
        return {};
      },
      [this] { pull(); });
}

void SnapshotReceiver::run(Work work, std::function<void()> then) {
  busy_ = true;
  parts_.ports.run(Pool::kBackground, std::move(work),
                   [this, alive = alive_, then = std::move(then)](const Result<void>& outcome) {
                     if (!*alive) return;
                     busy_ = false;
                     idle_ticks_ = 0;
                     if (stopped_) return drop_all();
                     if (!outcome && outcome.error().code() != Errc::kOverloaded) {
                       give_up(outcome.error());
                     } else if (outcome) {
                       then();
                     }
                     if (busy_ || !next_offer_) return;
                     const net::SnapshotOffer next = *next_offer_;
                     next_offer_.reset();
                     on_offer(next, Index());
                   });
}

void SnapshotReceiver::verify() {
  CHECK(offer_.has_value());
  run([this, staged = staged_, offer = *offer_] { return check(*staged, parts_, offer); },
      [this] { verified(); });
}

// Everything that was staged is durable, and is what the offer names.
Result<void> SnapshotReceiver::check(Staged& staged, const Parts& parts,
                                     const net::SnapshotOffer& offer) {
  TRY(staged.log->finish());
  std::optional<raft::ConfigAt> config;
  TRY_ASSIGN(info, staged.image->finish(
                       [&config](std::string_view key, std::string_view value) -> Result<void> {
                         if (key != ConfiguredState::kKey) return {};
                         TRY_ASSIGN(decoded, ConfiguredState::decode(value));
                         config = std::move(decoded);
                         return {};
                       }));
  const storage::LogMark end{
      .id = info.applied, .chain = info.chain, .append_time = info.append_time};
  if (info.group != parts.group || info.incarnation != parts.incarnation || end != offer.last ||
      end != staged.log->mark() || !config || config->membership != offer.snapshot.membership) {
    return fail(Errc::kCorrupt, "the image of a snapshot is not that of the log that came with it");
  }
  return {};
}

void SnapshotReceiver::verified() {
  CHECK(offer_.has_value());
  const net::SnapshotOffer offer = *offer_;
  offer_.reset();
  // It comes again.
  next_offer_.reset();
  placed_ = false;
  drop_image();
  // The cleaner may have freed the segment meanwhile behind which the stage begins.
  const storage::LogMark& after = staged_->log->after();
  const std::vector<storage::LogMark> ours = parts_.log.boundaries(SIZE_MAX);
  if (after != storage::LogMark{} && std::ranges::find(ours, after) == ours.end()) {
    return drop_log();
  }
  parts_.ready(offer);
}

void SnapshotReceiver::give_up(const Error& why) {
  parts_.ports.report(Severity::kWarn, fmt::format("group {}: a snapshot could not be taken: {}",
                                                   parts_.group.value(), why.describe()));
  offer_.reset();
  placed_ = false;
  drop_all();
}

void SnapshotReceiver::drop_image() {
  staged_->image.reset();
  staged_->image_bytes = 0;
}

void SnapshotReceiver::drop_all() {
  drop_image();
  drop_log();
}

void SnapshotReceiver::drop_log() {
  if (!staged_->log) return;
  parts_.ports.run(
      Pool::kBackground,
      [log = std::shared_ptr<storage::LogStage>(std::move(staged_->log))]() -> Result<void> {
        log->discard();
        return {};
      },
      // What is left is debris at the next boot.
      [](const Result<void>&) {});
}

void SnapshotReceiver::tick(Index commit) {
  if (stopped_) return;
  if (busy_) {
    if (offer_ && ++idle_ticks_ % kRetryTicks == 0) pull_nothing();
    return;
  }
  if (!offer_) {
    // The log went on without it.
    if (staged_->log && staged_->log->mark().id.index <= commit) drop_log();
    return;
  }
  ++idle_ticks_;
  if (offer_->last.id.index <= commit || idle_ticks_ > kGiveUpTicks) {
    offer_.reset();
    placed_ = false;
    drop_image();
  } else if (idle_ticks_ % kRetryTicks == 0) {
    pull();
  }
}

std::unique_ptr<storage::LogStage> SnapshotReceiver::take_stage() {
  CHECK(!busy_ && staged_->log);
  return std::move(staged_->log);
}

void SnapshotReceiver::stop() {
  stopped_ = true;
  offer_.reset();
  next_offer_.reset();
  if (!busy_) drop_all();
}

}  // namespace lignum::server
