#pragma once

// What a sound replica gives to a damaged one whose lost entries were cleaned everywhere: its
// newest image, piece by piece (net/repair_messages.h,
// docs/design/0007-repair-of-damaged-ranges.md).
//
// One piece is read at a time, for whoever asks; the image stays open, and so there, until its last
// piece was read or another one is asked for. Part of a replica; its lane only.

#include <cstddef>
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
  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    Ports& ports;
    // Of the group's images; outlives this and whatever is read.
    storage::Directory& directory;
    std::size_t piece_bytes = net::kSnapshotPieceBytes;
    // There is no image that reaches as far as was asked: one is needed.
    std::function<void()> need_image;
  };
  explicit RepairImages(Parts parts);
  ~RepairImages();
  RepairImages(const RepairImages&) = delete;
  RepairImages& operator=(const RepairImages&) = delete;

  void on_request(const net::RepairImageRequest& request);

 private:
  using Source = std::shared_ptr<const storage::ImageSource>;
  struct Piece {
    Source source;
    net::RepairImage reply;
  };
  // On the pool: `held` is the image that is open.
  [[nodiscard]] static Result<void> read(const Parts& parts, const net::RepairImageRequest& request,
                                         const Source& held, Piece& out);

  const Parts parts_;
  Source held_;
  bool busy_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
