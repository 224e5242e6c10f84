#include "server/group/repair_images.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "net/repair_messages.h"
#include "net/snapshot_messages.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "server/group/ports.h"
#include "storage/image_transfer.h"

namespace lignum::server {

RepairImages::RepairImages(Parts parts)
    : parts_(std::move(parts)), alive_(std::make_shared<bool>(true)) {}

RepairImages::~RepairImages() { *alive_ = false; }

Result<void> RepairImages::read(const Parts& parts, const net::RepairImageRequest& request,
                                const Source& held, Piece& out) {
  out.source = held;
  const bool begun = held && request.image == held->info().applied;
  if (!begun) {
    TRY_ASSIGN(source, storage::ImageSource::open_newest(
                           parts.directory, parts.incarnation, [] {},
                           [](std::string_view, std::string_view) { return Result<void>(); }));
    out.source = std::move(source);
  }
  if (!out.source || out.source->info().applied.index < request.least) {
    out.source.reset();
    return {};
  }
  net::RepairImage& reply = out.reply;
  reply.image = out.source->info().applied;
  reply.image_bytes = out.source->bytes();
  // Of another image than was begun, the beginning.
  const bool goes_on = request.image == reply.image;
  reply.from_byte = goes_on ? std::min(request.from_byte, reply.image_bytes) : 0;
  TRY_ASSIGN(bytes, out.source->read(reply.from_byte, parts.piece_bytes));
  if (reply.from_byte + bytes.size() == reply.image_bytes) out.source.reset();
  reply.bytes = Payload(std::move(bytes));
  return {};
}

void RepairImages::on_request(const net::RepairImageRequest& request) {
  // It is asked for again.
  if (busy_) return;
  busy_ = true;
  auto piece = std::make_shared<Piece>();
  piece->reply = {.from = request.to, .to = request.from, .number = request.number};
  parts_.ports.run(
      Pool::kRead,
      [this, request, piece, held = held_] { return read(parts_, request, held, *piece); },
      [this, alive = alive_, piece](const Result<void>& outcome) {
        if (!*alive) return;
        busy_ = false;
        held_ = piece->source;
        // What could not be read now may be readable later.
        if (!outcome) piece->reply.image_bytes = 0;
        if (outcome && piece->reply.image_bytes == 0) parts_.need_image();
        parts_.ports.send({.group = parts_.group,
                           .incarnation = parts_.incarnation,
                           .body = std::move(piece->reply)});
      });
}

}  // namespace lignum::server
