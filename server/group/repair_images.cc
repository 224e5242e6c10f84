#include "server/group/repair_images.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "net/repair_messages.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/image_transfer.h"
#include "storage/snapshot_image.h"

namespace lignum::server {

RepairImages::RepairImages(Parts parts)
    : parts_(std::move(parts)), alive_(std::make_shared<bool>(true)) {}

RepairImages::~RepairImages() { *alive_ = false; }

Result<void> RepairImages::read(const Parts& parts, const net::RepairImageRequest& request,
                                const Source& held, Piece& out) {
  out.source = held;
  const bool of_use = held && held->info().applied.index >= request.least;
  const bool begun = of_use && (!request.image || request.image == held->info().applied);
  if (!begun) {
    TRY_ASSIGN(source, open(parts, request.least));
    out.source = std::move(source);
  }
  if (!out.source) return {};
  net::RepairImage& reply = out.reply;
  reply.image = out.source->info().applied;
  reply.image_bytes = out.source->bytes();
  // Of another image than was begun, the beginning.
  const bool goes_on = request.image == reply.image;
  reply.from_byte = goes_on ? std::min(request.from_byte, reply.image_bytes) : 0;
  TRY_ASSIGN(bytes, out.source->read(reply.from_byte, parts.piece_bytes));
  reply.bytes = Payload(std::move(bytes));
  return {};
}

Result<RepairImages::Source> RepairImages::open(const Parts& parts, Index least) {
  TRY_ASSIGN(names, storage::list_images(parts.directory));
  // Its name tells, before all of it is verified.
  if (names.empty() || names.front() < storage::image_name(least)) return Source();
  TRY_ASSIGN(source, storage::ImageSource::open_newest(
                         parts.directory, parts.incarnation, [] {},
                         [](std::string_view, std::string_view) { return Result<void>(); }));
  if (source && source->info().applied.index < least) source.reset();
  return Source(std::move(source));
}

void RepairImages::on_request(const net::RepairImageRequest& request, std::uint64_t recovery) {
  // It is asked for again.
  if (busy_) return;
  busy_ = true;
  idle_ticks_ = 0;
  auto piece = std::make_shared<Piece>();
  piece->reply = {
      .from = request.to, .to = request.from, .number = request.number, .recovery = recovery};
  // In line with the writing of images, which removes old ones.
  parts_.ports.run(
      Pool::kBackground,
      [this, request, piece, held = held_] { return read(parts_, request, held, *piece); },
      [this, alive = alive_, piece, least = request.least](const Result<void>& outcome) {
        if (!*alive) return;
        busy_ = false;
        // What could not be read now may be readable later.
        if (!outcome) return;
        held_ = piece->source;
        if (!held_) parts_.need_image(least);
        parts_.ports.send({.group = parts_.group,
                           .incarnation = parts_.incarnation,
                           .body = std::move(piece->reply)});
      });
}

void RepairImages::tick() {
  if (held_ && !busy_ && ++idle_ticks_ > kIdleTicks) held_.reset();
}

}  // namespace lignum::server
