#pragma once

// What a sound replica gives to a damaged one whose lost entries were cleaned everywhere: its
// newest image, piece by piece (net/repair_messages.h,
// docs/design/0007-repair-of-damaged-ranges.md).
//
// One piece is read at a time, for whoever asks; the image stays open, and so there, while it is
// asked for. Part of a replica; its lane only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "net/repair_messages.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/file.h"
#include "storage/image_transfer.h"

namespace lignum::server {

class RepairImages {
 public:
  // An image that nobody asked for so long is closed.
  static constexpr std::uint32_t kIdleTicks = 200;

  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    Ports& ports;
    // Of the group's images; outlives this and whatever is read.
    storage::Directory& directory;
    std::size_t piece_bytes = net::kSnapshotPieceBytes;
    // There is no image that reaches this entry: one is needed, where that much is applied.
    std::function<void(Index)> need_image;
  };
  explicit RepairImages(Parts parts);
  ~RepairImages();
  RepairImages(const RepairImages&) = delete;
  RepairImages& operator=(const RepairImages&) = delete;

  // `recovery`: the newest that this replica has heard of.
  void on_request(const net::RepairImageRequest& request, std::uint64_t recovery);
  void tick();

 private:
  using Source = std::shared_ptr<const storage::ImageSource>;
  struct Piece {
    Source source;
    net::RepairImage reply;
  };
  // Both on the pool. `held` is the image that is open.
  [[nodiscard]] static Result<Source> open(const Parts& parts, Index least);
  [[nodiscard]] static Result<void> read(const Parts& parts, const net::RepairImageRequest& request,
                                         const Source& held, Piece& out);

  const Parts parts_;
  Source held_;
  bool busy_ = false;
  std::uint32_t idle_ticks_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
