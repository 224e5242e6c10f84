#pragma once

// An image on its way from one replica's directory to another's: bytes here, the same bytes there.
//
//   image.part      what is arriving; debris, until the log reaches the entry that it is the state
//                   of, by the switch of a snapshot (Log::take_restore)
//   image-<index>   its name from then on
//
// A crash between the switch and the new name is made up for at the next boot. Functions block, and
// run on any thread, one at a time for a directory.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/snapshot_image.h"

namespace lignum::storage {

inline constexpr const char* kImagePartName = "image.part";

using PairVisit = std::function<Result<void>(std::string_view key, std::string_view value)>;

// A verified image that is held open: later images do not take it away.
class ImageSource {
 public:
  // The newest image of this incarnation that is whole; its pairs go to `visit` (those of a damaged
  // one before it, too: it begins anew with `begin`). None where there is none. kIo.
  [[nodiscard]] static Result<std::unique_ptr<ImageSource>> open_newest(
      Directory& directory, GroupIncarnation incarnation, const std::function<void()>& begin,
      const PairVisit& visit);

  [[nodiscard]] const ImageInfo& info() const { return info_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // As many as there are from `from` on, `bytes_max` at most.
  [[nodiscard]] Result<std::vector<std::byte>> read(std::uint64_t from,
                                                    std::size_t bytes_max) const;

 private:
  ImageSource(std::unique_ptr<File> file, const ImageInfo& info, std::uint64_t bytes)
      : file_(std::move(file)), info_(info), bytes_(bytes) {}

  std::unique_ptr<File> file_;
  ImageInfo info_;
  std::uint64_t bytes_ = 0;
};

// The image that is arriving.
class StagedImage {
 public:
  // Makes the file, in place of an earlier one.
  [[nodiscard]] static Result<std::unique_ptr<StagedImage>> create(Directory& directory);
  [[nodiscard]] Result<void> append(Bytes bytes);
  // Makes it durable, then reads all of it back: every checksum is verified.
  [[nodiscard]] Result<ImageInfo> finish(const PairVisit& visit);

 private:
  StagedImage(Directory& directory, std::unique_ptr<File> file)
      : directory_(directory), file_(std::move(file)) {}

  Directory& directory_;
  std::unique_ptr<File> file_;
  std::uint64_t bytes_ = 0;
};

// Reads the staged image, which finish() found whole, once more.
[[nodiscard]] Result<ImageInfo> read_staged_image(Directory& directory, const PairVisit& visit);
// The switch was made: the staged image becomes that of `index`, durably; all others go.
[[nodiscard]] Result<void> install_staged_image(Directory& directory, Index index);
// Boot: what is left of a transfer. A whole image of an entry that `id_at` says the log has becomes
// an image like others, written once more, since it may never have been synced; anything else is
// removed. Its index, where that happened. An error leaves it for the next start.
[[nodiscard]] Result<std::optional<Index>> settle_staged_image(
    Directory& directory, GroupIncarnation incarnation,
    const std::function<std::optional<LogId>(Index)>& id_at);

}  // namespace lignum::storage
