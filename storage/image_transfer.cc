#include "storage/image_transfer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/snapshot_image.h"

namespace lignum::storage {

namespace {

// Whether an image is whole is not known by such an error.
bool tells_nothing(const Error& error) {
  return error.code() == Errc::kIo || error.code() == Errc::kTooManyFiles;
}

// It may be whole in the page cache alone: the log came to its entry without it, and the process
// ended before its sync, or that sync failed. Over itself: it takes no room, and a crash leaves
// what was there.
Result<void> write_again(Directory& directory) {
  TRY_ASSIGN(file, directory.open(kImagePartName, OpenMode::kReadWrite));
  std::vector<std::byte> bytes(kImageChunkBytes);
  for (std::uint64_t at = 0;;) {
    TRY_ASSIGN(count, file->read_at(at, bytes));
    if (count == 0) return file->sync();
    TRY(file->write_at(at, Bytes(bytes).first(count)));
    at += count;
  }
}

}  // namespace

Result<std::unique_ptr<ImageSource>> ImageSource::open_newest(Directory& directory,
                                                              GroupIncarnation incarnation,
                                                              const std::function<void()>& begin,
                                                              const PairVisit& visit) {
  TRY_ASSIGN(names, list_images(directory));
  for (const std::string& name : names) {
    begin();
    const auto info = read_image(directory, name, visit);
    if (!info && tells_nothing(info.error())) return std::unexpected(info.error());
    if (!info || info->incarnation != incarnation) continue;
    TRY_ASSIGN(file, directory.open(name, OpenMode::kRead));
    TRY_ASSIGN(bytes, file->size());
    return std::unique_ptr<ImageSource>(new ImageSource(std::move(file), *info, bytes));
  }
  return nullptr;
}

Result<std::vector<std::byte>> ImageSource::read(std::uint64_t from, std::size_t bytes_max) const {
  std::vector<std::byte> out(from < bytes_ ? std::min<std::uint64_t>(bytes_max, bytes_ - from) : 0);
  TRY_ASSIGN(count, file_->read_at(from, out));
  out.resize(count);
  return out;
}

Result<std::unique_ptr<StagedImage>> StagedImage::create(Directory& directory) {
  TRY_ASSIGN(leftover, directory.exists(kImagePartName));
  if (leftover) TRY(directory.remove(kImagePartName));
  TRY_ASSIGN(file, directory.open(kImagePartName, OpenMode::kCreate));
  return std::unique_ptr<StagedImage>(new StagedImage(directory, std::move(file)));
}

Result<void> StagedImage::append(Bytes bytes) {
  TRY(file_->write_at(bytes_, bytes));
  bytes_ += bytes.size();
  return {};
}

Result<ImageInfo> StagedImage::finish(const PairVisit& visit) {
  TRY(file_->sync());
  TRY(directory_.sync());
  return read_staged_image(directory_, visit);
}

Result<ImageInfo> read_staged_image(Directory& directory, const PairVisit& visit) {
  return read_image(directory, kImagePartName, visit);
}

Result<void> install_staged_image(Directory& directory, Index index) {
  TRY(directory.rename(kImagePartName, image_name(index)));
  TRY(directory.sync());
  TRY_ASSIGN(names, list_images(directory));
  for (const std::string& name : names) {
    if (name != image_name(index)) TRY(directory.remove(name));
  }
  return directory.sync();
}

Result<std::optional<Index>> settle_staged_image(
    Directory& directory, GroupIncarnation incarnation,
    const std::function<std::optional<LogId>(Index)>& id_at) {
  TRY_ASSIGN(left, directory.exists(kImagePartName));
  if (!left) return std::nullopt;
  auto info = read_image_info(directory, kImagePartName);
  if (info && info->incarnation == incarnation && id_at(info->applied.index) == info->applied) {
    TRY(write_again(directory));
    info = read_staged_image(directory,
                             [](std::string_view, std::string_view) { return Result<void>(); });
    if (info) {
      TRY(directory.rename(kImagePartName, image_name(info->applied.index)));
      TRY(directory.sync());
      return info->applied.index;
    }
  }
  if (!info && tells_nothing(info.error())) return std::unexpected(info.error());
  TRY(directory.remove(kImagePartName));
  TRY(directory.sync());
  return std::nullopt;
}

}  // namespace lignum::storage
