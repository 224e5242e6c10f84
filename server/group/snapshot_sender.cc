#include "server/group/snapshot_sender.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/snapshot_messages.h"
#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/progress.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/configured_state.h"
#include "server/group/ports.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/log.h"
#include "storage/log_mark.h"

namespace lignum::server {

namespace {

// What the pool finds out about the newest image.
struct OpenedImage {
  std::shared_ptr<const storage::ImageSource> source;
  std::optional<raft::ConfigAt> config;
};

Result<void> open_image(storage::Directory& images, GroupIncarnation incarnation,
                        OpenedImage& out) {
  TRY_ASSIGN(source, storage::ImageSource::open_newest(
                         images, incarnation, [&out] { out.config.reset(); },
                         [&out](std::string_view key, std::string_view value) -> Result<void> {
                           if (key != ConfiguredState::kKey) return {};
                           TRY_ASSIGN(config, ConfiguredState::decode(value));
                           out.config = std::move(config);
                           return {};
                         }));
  out.source = std::move(source);
  return {};
}

}  // namespace

SnapshotSender::SnapshotSender(Parts parts)
    : group_(parts.group),
      incarnation_(parts.incarnation),
      ports_(parts.ports),
      log_(parts.log),
      checkpoints_(parts.checkpoints),
      piece_bytes_(std::min(parts.piece_bytes, net::kSnapshotPieceBytes)),
      pace_(parts.pace),
      need_image_(std::move(parts.need_image)),
      failed_(std::move(parts.failed)),
      alive_(std::make_shared<bool>(true)) {}

SnapshotSender::~SnapshotSender() { *alive_ = false; }

template <class Body>
void SnapshotSender::send(Body body) {
  ports_.send({.group = group_, .incarnation = incarnation_, .body = std::move(body)});
}

SnapshotSender::Transfer* SnapshotSender::find(const ReplicaId& to, std::uint64_t number) {
  const auto found = transfers_.find(to);
  return found == transfers_.end() || found->second.number != number ? nullptr : &found->second;
}

void SnapshotSender::want(const raft::SendSnapshot& request) {
  Transfer& transfer = transfers_[request.to];
  transfer = {.request = request, .number = ++last_number_};
  open(transfer);
}

void SnapshotSender::open(Transfer& transfer) {
  auto out = std::make_shared<OpenedImage>();
  transfer.busy = true;
  // In line with the writing of images, which removes old ones.
  ports_.run(
      Pool::kBackground,
      [this, out] { return open_image(checkpoints_.images(), incarnation_, *out); },
      [this, alive = alive_, out, to = transfer.request.to,
       number = transfer.number](const Result<void>& outcome) {
        if (!*alive) return;
        Transfer* const mine = find(to, number);
        if (mine == nullptr) return;
        mine->busy = false;
        if (outcome && out->source && out->config) {
          opened(*mine, std::move(out->source), out->config->membership);
        } else {
          // Tried again with the next tick.
          need_image_();
        }
      });
}

void SnapshotSender::opened(Transfer& transfer, std::shared_ptr<const storage::ImageSource> image,
                            const raft::Membership& membership) {
  const LogId applied = image->info().applied;
  if (applied.index.next() < log_.first_index()) return need_image_();
  transfer.image = std::move(image);
  transfer.snapshot = {.id = applied, .membership = membership};
  ports_.report(
      Severity::kInfo,
      fmt::format("group {}: node {} is sent the state after entry {} and the log before",
                  group_.value(), transfer.request.to.node.value(), applied.index.value()));
}

void SnapshotSender::offer(const Transfer& transfer, const raft::Core& core) {
  const storage::ImageInfo& info = transfer.image->info();
  send(net::SnapshotOffer{
      .from = self_,
      .to = transfer.request.to,
      .term = core.term(),
      .session = transfer.request.session,
      .recovery = core.recovery(),
      .snapshot = transfer.snapshot,
      .last = {.id = info.applied, .chain = info.chain, .append_time = info.append_time},
      .image_bytes = transfer.image->bytes()});
}

bool SnapshotSender::go_on(Transfer& transfer, const raft::Core& core) {
  if (!transfer.image) {
    if (!transfer.busy) open(transfer);
  } else if (transfer.held) {
    transfer.idle_ticks = 0;
    if (transfer.busy) return true;
    net::SnapshotPull pull = *std::move(transfer.held);
    transfer.held.reset();
    answer(transfer, std::move(pull));
  } else if (++transfer.idle_ticks > kIdleTicks) {
    return false;
  } else if (!transfer.pulled && transfer.idle_ticks % kOfferTicks == 1) {
    offer(transfer, core);
  }
  return true;
}

void SnapshotSender::tick(const raft::Core& core) {
  self_ = core.self();
  const std::vector<raft::PeerStatus> peers = core.peers();
  std::vector<raft::SendSnapshot> failed;
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    Transfer& transfer = at->second;
    const auto peer = std::ranges::find(peers, at->first, &raft::PeerStatus::replica);
    if (peer == peers.end() || peer->state != raft::ProgressState::kSnapshot) {
      const bool has_it =
          transfer.image && peer != peers.end() && peer->match >= transfer.snapshot.id.index;
      if (has_it) ++sent_;
      at = transfers_.erase(at);
      continue;
    }
    if (go_on(transfer, core)) {
      ++at;
    } else {
      failed.push_back(transfer.request);
      at = transfers_.erase(at);
    }
  }
  for (const raft::SendSnapshot& each : failed) failed_(each);
}

void SnapshotSender::on_pull(net::SnapshotPull pull) {
  const auto found = transfers_.find(pull.from);
  if (found == transfers_.end()) return;
  Transfer& transfer = found->second;
  if (!transfer.image || pull.session != transfer.request.session ||
      pull.snapshot != transfer.snapshot.id) {
    return;
  }
  transfer.idle_ticks = 0;
  transfer.pulled = true;
  transfer.held.reset();
  if (!transfer.busy) answer(transfer, std::move(pull));
}

void SnapshotSender::answer(Transfer& transfer, net::SnapshotPull pull) {
  const bool piece =
      pull.want == net::SnapshotPull::Want::kLog || pull.want == net::SnapshotPull::Want::kImage;
  if (piece && !pace_.take(piece_bytes_, ports_.now().monotonic_us)) {
    transfer.held = std::move(pull);
    return;
  }
  switch (pull.want) {
    case net::SnapshotPull::Want::kNothing:
      return;
    case net::SnapshotPull::Want::kPlace:
      return send_place(transfer, std::move(pull));
    case net::SnapshotPull::Want::kLog:
      return send_log(transfer, pull);
    case net::SnapshotPull::Want::kImage:
      return send_image(transfer, pull);
  }
}

template <class Body>
void SnapshotSender::send_later(Transfer& transfer, const std::shared_ptr<Body>& body, Work read) {
  body->from = self_;
  body->to = transfer.request.to;
  body->session = transfer.request.session;
  body->snapshot = transfer.snapshot.id;
  transfer.busy = true;
  ports_.run(Pool::kRead, std::move(read),
             [this, alive = alive_, body, number = transfer.number](const Result<void>& outcome) {
               if (!*alive) return;
               Transfer* const mine = find(body->to, number);
               if (mine == nullptr) return;
               mine->busy = false;
               if (outcome) return send(std::move(*body));
               // The follower asks again.
               if (outcome.error().code() != Errc::kOverloaded) {
                 ports_.report(Severity::kWarn,
                               fmt::format("group {}: no snapshot for node {}: {}", group_.value(),
                                           body->to.node.value(), outcome.error().describe()));
               }
             });
}

void SnapshotSender::send_place(Transfer& transfer, net::SnapshotPull pull) {
  std::erase_if(pull.known, [&](const storage::LogMark& mark) {
    return mark.id.index > transfer.snapshot.id.index;
  });
  auto body = std::make_shared<net::SnapshotLog>();
  auto search = std::make_shared<storage::MarkSearch>(log_.find_mark(std::move(pull.known)));
  send_later(transfer, body, [body, search]() -> Result<void> {
    TRY_ASSIGN(found, (*search)());
    body->after = found.value_or(storage::LogMark{});
    return {};
  });
}

void SnapshotSender::send_log(Transfer& transfer, const net::SnapshotPull& pull) {
  const Index last = transfer.snapshot.id.index;
  auto body = std::make_shared<net::SnapshotLog>();
  body->after = pull.known.front();
  if (body->after.id.index >= last) return;
  auto read =
      std::make_shared<storage::KeptRead>(log_.read_kept(body->after.id.index, last, piece_bytes_));
  send_later(transfer, body, [body, read]() -> Result<void> {
    TRY_ASSIGN(items, (*read)());
    body->items = std::move(items);
    return {};
  });
}

void SnapshotSender::send_image(Transfer& transfer, const net::SnapshotPull& pull) {
  auto body = std::make_shared<net::SnapshotImage>();
  body->from_byte = pull.image_from;
  send_later(transfer, body, [body, image = transfer.image, most = piece_bytes_]() -> Result<void> {
    TRY_ASSIGN(bytes, image->read(body->from_byte, most));
    body->bytes = Payload(std::move(bytes));
    return {};
  });
}

std::optional<Index> SnapshotSender::pinned() const {
  std::optional<Index> lowest;
  for (const auto& [to, transfer] : transfers_) {
    if (!transfer.image) continue;
    const Index index = transfer.snapshot.id.index;
    lowest = lowest ? std::min(*lowest, index) : index;
  }
  return lowest;
}

}  // namespace lignum::server
