// How a replica sends a snapshot, and takes one in place of its state and log. Part of Replica;
// see replica.h.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include "net/peer_message.h"
#include "net/snapshot_messages.h"
#include "raft/buggify.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/log_writer.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/log.h"

namespace lignum::server {

void Replica::send_snapshot(const raft::SendSnapshot& request) {
  if (buggify(Buggify::kServerFreshImage)) upkeep_.checkpoint();
  sender_.want(request);
}

void Replica::receive_snapshot(net::PeerMessage received) {
  if (auto* const pull = std::get_if<net::SnapshotPull>(&received.body)) {
    return sender_.on_pull(std::move(*pull));
  }
  if (installing_ != nullptr) return;
  if (const auto* const offer = std::get_if<net::SnapshotOffer>(&received.body)) {
    if (offer->term >= core_.term()) receiver_.on_offer(*offer, core_.commit());
  } else if (auto* const log = std::get_if<net::SnapshotLog>(&received.body)) {
    receiver_.on_log(std::move(*log));
  } else if (const auto* const image = std::get_if<net::SnapshotImage>(&received.body)) {
    receiver_.on_image(*image);
  }
}

void Replica::on_snapshot_ready(const net::SnapshotOffer& offer) {
  if (quiet() || !damage_.empty()) return;
  installing_ = std::make_shared<Installing>();
  installing_->mark = {
      .id = offer.last.id, .append_time = offer.last.append_time, .chain = offer.last.chain};
  step({.from = offer.from,
        .to = core_.self(),
        .recovery = offer.recovery,
        .body = raft::InstallSnapshot{
            .term = offer.term, .session = offer.session, .snapshot = offer.snapshot}});
  // The core had no use for it: it comes from an earlier term, or the log reaches as far by now.
  if (installing_ != nullptr && !installing_->taken) installing_.reset();
}

LogWriter::Restore Replica::begin_restore() {
  storage::Directory& images = upkeep_.checkpoints().images();
  const std::shared_ptr<Installing> installing = installing_;
  return {.before = [installing, &images]() -> Result<void> {
            TRY(storage::read_staged_image(
                images, [&](std::string_view key, std::string_view value) -> Result<void> {
                  installing->pairs.emplace_back(key, value);
                  return {};
                }));
            return {};
          },
          .job = log_->take_restore(std::move(installing_->stage)),
          .after =
              [installing, &images] {
                return storage::install_staged_image(images, installing->mark.id.index);
              }};
}

void Replica::on_restored() {
  const std::shared_ptr<Installing> installed = std::move(installing_);
  if (!damage_.empty()) return;
  machine_.reset();
  for (const auto& [key, value] : installed->pairs) {
    if (const auto taken = machine_.restore(key, value); !taken) {
      return halt(fmt::format("the state that came with a snapshot cannot be read: {}",
                              taken.error().message()));
    }
  }
  applied_ = installed->mark;
  clock_.inherit(applied_.append_time);
  recent_.clear();
  upkeep_.restored();
  ports_.report(Severity::kInfo, fmt::format("group {}: the snapshot up to entry {} is installed",
                                             group_.value(), applied_.id.index.value()));
  waiters_.passed(applied_.id.index);
  reads_.applied(applied_.id.index);
  owner_.on_restored();
  upkeep_.checkpoint();
}

}  // namespace lignum::server
