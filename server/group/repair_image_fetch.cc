#include "server/group/repair_image_fetch.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/repair_messages.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/image_transfer.h"
#include "storage/log_mark.h"
#include "storage/snapshot_image.h"

namespace lignum::server {

RepairImageFetch::RepairImageFetch(Parts parts)
    : parts_(std::move(parts)),
      // An answer to a question of an earlier life is none to one of this.
      number_(static_cast<std::uint64_t>(parts_.ports.now().wall_us)) {}

void RepairImageFetch::begin(std::vector<ReplicaId> peers, Index least) {
  CHECK(!under_way() && !peers.empty());
  peers_ = std::move(peers);
  peer_ = 0;
  least_ = least;
  tries_ = 0;
  image_.reset();
  bytes_ = 0;
  first_number_ = number_ + 1;
  staged_ = std::make_shared<Staged>();
  ask();
}

void RepairImageFetch::ask() {
  ticks_left_ = kAnswerTicks;
  parts_.ports.send({.group = parts_.group,
                     .incarnation = parts_.incarnation,
                     .body = net::RepairImageRequest{.from = parts_.self,
                                                     .to = peers_[peer_],
                                                     .number = ++number_,
                                                     .least = least_,
                                                     .image = image_,
                                                     .from_byte = bytes_}});
}

void RepairImageFetch::ask_next() {
  tries_ = 0;
  // Each member makes its own images: what is here of another's is of no use.
  image_.reset();
  bytes_ = 0;
  first_number_ = number_ + 1;
  if (++peer_ < peers_.size()) return ask();
  end(std::nullopt);
}

void RepairImageFetch::drop() {
  peers_.clear();
  ticks_left_.reset();
  staged_.reset();
}

void RepairImageFetch::end(const std::optional<storage::LogMark>& mark) {
  drop();
  parts_.done(mark);
}

void RepairImageFetch::receive(const net::RepairImage& piece) {
  // Also what answers an earlier one of the same questions: opening an image may take long.
  const bool asked = piece.number >= first_number_ && piece.number <= number_;
  if (!ticks_left_ || !asked || piece.from != peers_[peer_]) return;
  const bool none = piece.image_bytes == 0 || piece.bytes.empty() || piece.image.index < least_;
  if (none || piece.recovery < parts_.recovery) {
    if (piece.number == number_) ask_next();
    return;
  }
  if (image_ != piece.image) {
    if (piece.from_byte != 0) return;
    image_ = piece.image;
    bytes_ = 0;
  }
  if (piece.from_byte != bytes_) return;
  add(piece);
}

void RepairImageFetch::add(const net::RepairImage& piece) {
  ticks_left_.reset();
  parts_.run(
      [this, staged = staged_, piece] { return add_on_pool(parts_, least_, *staged, piece); },
      [this, staged = staged_, size = piece.bytes.size()](const Result<void>& outcome) {
        const Errc code = outcome ? Errc{} : outcome.error().code();
        if (code == Errc::kNoSpace || code == Errc::kIo) {
          drop();
          return parts_.failed(outcome.error());
        }
        if (!outcome && code != Errc::kOverloaded) {
          parts_.ports.report(
              Severity::kWarn,
              fmt::format("group {}: the state of another member could not be taken: {}",
                          parts_.group.value(), outcome.error().describe()));
          return ask_next();
        }
        tries_ = 0;
        if (outcome) bytes_ += size;
        if (staged->mark) return end(staged->mark);
        ask();
      });
}

Result<void> RepairImageFetch::add_on_pool(const Parts& parts, Index least, Staged& staged,
                                           const net::RepairImage& piece) {
  if (!staged.directory) {
    TRY_ASSIGN(directory, parts.directory());
    staged.directory = std::move(directory);
  }
  if (piece.from_byte == 0) {
    staged.image.reset();
    TRY_ASSIGN(image, storage::StagedImage::create(*staged.directory));
    staged.image = std::move(image);
  }
  TRY(staged.image->append(piece.bytes.bytes()));
  if (piece.from_byte + piece.bytes.size() < piece.image_bytes) return {};
  TRY_ASSIGN(info, staged.image->finish(
                       [](std::string_view, std::string_view) { return Result<void>(); }));
  if (info.group != parts.group || info.incarnation != parts.incarnation ||
      info.applied != piece.image || info.applied.index < least) {
    return fail(Errc::kCorrupt, "it is not the image that was asked for");
  }
  staged.mark =
      storage::LogMark{.id = info.applied, .chain = info.chain, .append_time = info.append_time};
  return {};
}

void RepairImageFetch::tick() {
  if (!ticks_left_ || --*ticks_left_ > 0) return;
  if (++tries_ < kTriesMax) return ask();
  ask_next();
}

}  // namespace lignum::server
