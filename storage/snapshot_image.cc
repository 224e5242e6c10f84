#include "storage/snapshot_image.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"

namespace lignum::storage {

namespace {

constexpr std::string_view kNamePrefix = "image-";
constexpr std::size_t kIndexDigits = 20;
// "LGIM" as it stands in the file.
constexpr std::uint32_t kMagic = 0x4D49474C;
constexpr std::uint32_t kVersion = 1;

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kHeaderCrcAt = 12;
constexpr std::size_t kChunkHeadBytes = 8;
constexpr std::size_t kEndBytes = kChunkHeadBytes + 8;
constexpr std::size_t kPairHeadBytes = 8;

std::uint32_t header_crc(std::array<std::byte, kHeaderBytes> header) {
  store_le<std::uint32_t>(header, kHeaderCrcAt, 0);
  return crc32c(header);
}

std::array<std::byte, kHeaderBytes> encode_header(const ImageInfo& info) {
  std::array<std::byte, kHeaderBytes> header{};
  store_le<std::uint32_t>(header, 0, kMagic);
  store_le<std::uint32_t>(header, 4, kVersion);
  store_le<std::uint32_t>(header, 8, info.group.value());
  store_le<std::uint64_t>(header, 16, info.incarnation.value());
  store_le<std::uint64_t>(header, 24, info.applied.term.value());
  store_le<std::uint64_t>(header, 32, info.applied.index.value());
  store_le<std::uint64_t>(header, 40, info.chain.low);
  store_le<std::uint64_t>(header, 48, info.chain.high);
  store_le<std::int64_t>(header, 56, info.append_time);
  store_le<std::uint32_t>(header, kHeaderCrcAt, header_crc(header));
  return header;
}

// Binds a chunk to its image, its place and its length, so that none can stand in for another.
std::uint32_t chunk_crc(std::uint32_t image_crc, std::uint64_t position, Bytes chunk) {
  std::array<std::byte, 16> place{};
  store_le<std::uint64_t>(place, 0, position);
  store_le<std::uint64_t>(place, 8, chunk.size());
  return crc32c(chunk, crc32c(place, image_crc));
}

bool is_image_name(std::string_view name) {
  return name.size() == kNamePrefix.size() + kIndexDigits && name.starts_with(kNamePrefix) &&
         std::ranges::all_of(name.substr(kNamePrefix.size()),
                             [](char digit) { return digit >= '0' && digit <= '9'; });
}

// The images that `finish` no longer keeps.
Result<void> remove_old_images(Directory& directory) {
  TRY_ASSIGN(names, list_images(directory));
  if (names.size() <= kImagesKept) {
    return {};
  }
  for (const std::string& name : std::span(names).subspan(kImagesKept)) {
    TRY(directory.remove(name));
  }
  return directory.sync();
}

// Reads an image front to back; every byte is verified before it is believed.
class ImageReader {
 public:
  ImageReader(std::unique_ptr<File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  Result<ImageInfo> read_header() {
    std::array<std::byte, kHeaderBytes> header{};
    TRY_ASSIGN(count, file_->read_at(0, header));
    if (count < kHeaderBytes || load_le<std::uint32_t>(header, 0) != kMagic ||
        load_le<std::uint32_t>(header, kHeaderCrcAt) != header_crc(header)) {
      return damaged(0, "the header");
    }
    if (load_le<std::uint32_t>(header, 4) != kVersion) {
      return fail(Errc::kUnsupported, path_ + ": image version " +
                                          std::to_string(load_le<std::uint32_t>(header, 4)) +
                                          ", this build reads version " + std::to_string(kVersion));
    }
    image_crc_ = load_le<std::uint32_t>(header, kHeaderCrcAt);
    position_ = kHeaderBytes;
    return ImageInfo{.group = GroupId(load_le<std::uint32_t>(header, 8)),
                     .incarnation = GroupIncarnation(load_le<std::uint64_t>(header, 16)),
                     .applied = {.term = Term(load_le<std::uint64_t>(header, 24)),
                                 .index = Index(load_le<std::uint64_t>(header, 32))},
                     .chain = {.low = load_le<std::uint64_t>(header, 40),
                               .high = load_le<std::uint64_t>(header, 48)},
                     .append_time = load_le<std::int64_t>(header, 56)};
  }

  // The next chunk, verified; empty after the last one, when the end is verified too.
  Result<Bytes> next_chunk() {
    std::array<std::byte, kChunkHeadBytes> head{};
    TRY_ASSIGN(head_bytes, file_->read_at(position_, head));
    if (head_bytes < kChunkHeadBytes) {
      return damaged(position_, "the image ends early");
    }
    const auto length = load_le<std::uint32_t>(head, 0);
    const bool end = length == 0;
    TRY_ASSIGN(file_bytes, file_->size());
    const std::size_t wanted = end ? kEndBytes - kChunkHeadBytes : length;
    if (wanted > kImageChunkMax || wanted > file_bytes - position_ - kChunkHeadBytes) {
      return damaged(position_, "a chunk's length");
    }
    chunk_.resize(wanted);
    TRY_ASSIGN(chunk_bytes, file_->read_at(position_ + kChunkHeadBytes, chunk_));
    if (chunk_bytes != wanted ||
        load_le<std::uint32_t>(head, 4) != chunk_crc(image_crc_, position_, chunk_)) {
      return damaged(position_, "a chunk");
    }
    if (end && load_le<std::uint64_t>(chunk_, 0) != pairs_) {
      return damaged(position_, "the end");
    }
    position_ += kChunkHeadBytes + wanted;
    if (!end) {
      return chunk_;
    }
    if (position_ != file_bytes) {
      return damaged(position_, "the end");
    }
    return Bytes{};
  }

  // Gives the pairs of a chunk to `visit`, in order.
  Result<void> read_pairs(Bytes chunk, const ImageVisitor& visit) {
    ByteCursor cursor(chunk);
    while (!cursor.at_end()) {
      const auto key_bytes = cursor.read_le<std::uint32_t>();
      const auto value_bytes = cursor.read_le<std::uint32_t>();
      const auto key = cursor.read_bytes(key_bytes.value_or(0));
      const auto value = cursor.read_bytes(value_bytes.value_or(0));
      if (!value_bytes || !key || !value) {
        return damaged(position_, "a pair of a chunk that ends");
      }
      ++pairs_;
      TRY(visit(text_of(*key), text_of(*value)));
    }
    return {};
  }

  // Everything before it checks.
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] Result<std::uint64_t> file_bytes() const { return file_->size(); }

 private:
  static std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  [[nodiscard]] std::unexpected<Error> damaged(std::uint64_t position,
                                               std::string_view what) const {
    return fail(Errc::kCorrupt, fmt::format("{}: {} at byte {} is damaged", path_, what, position));
  }

  std::unique_ptr<File> file_;
  std::string path_;
  std::uint32_t image_crc_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t pairs_ = 0;
  std::vector<std::byte> chunk_;
};

Result<ImageReader> open_image(Directory& directory, std::string_view name) {
  TRY_ASSIGN(file, directory.open(name, OpenMode::kRead));
  return ImageReader(std::move(file), directory.path() + "/" + std::string(name));
}

}  // namespace

Result<std::unique_ptr<ImageWriter>> ImageWriter::create(Directory& directory,
                                                         const ImageInfo& info) {
  TRY_ASSIGN(leftover, directory.exists(kImageTemporaryName));
  if (leftover) {
    TRY(directory.remove(kImageTemporaryName));
  }
  TRY_ASSIGN(file, directory.open(kImageTemporaryName, OpenMode::kCreate));
  const auto header = encode_header(info);
  TRY(file->write_at(0, header));
  std::unique_ptr<ImageWriter> writer(new ImageWriter(directory, std::move(file), info));
  writer->image_crc_ = load_le<std::uint32_t>(header, kHeaderCrcAt);
  writer->position_ = kHeaderBytes;
  return writer;
}

Result<void> ImageWriter::add(std::string_view key, std::string_view value) {
  CHECK(pairs_ == 0 || key > last_key_);
  const std::size_t bytes = kPairHeadBytes + key.size() + value.size();
  if (bytes > kImageChunkMax) {
    return fail(Errc::kTooLarge, fmt::format("a state pair of {} bytes is over the limit of {}",
                                             bytes, kImageChunkMax));
  }
  if (chunk_.size() + bytes > kImageChunkMax) {
    TRY(flush_chunk());
  }
  const std::size_t at = chunk_.size();
  chunk_.resize(at + kPairHeadBytes);
  store_le<std::uint32_t>(chunk_, at, static_cast<std::uint32_t>(key.size()));
  store_le<std::uint32_t>(chunk_, at + 4, static_cast<std::uint32_t>(value.size()));
  for (const std::string_view part : {key, value}) {
    const Bytes view = std::as_bytes(std::span(part));
    chunk_.insert(chunk_.end(), view.begin(), view.end());
  }
  last_key_ = key;
  ++pairs_;
  const bool large = chunk_.size() >= kImageChunkBytes || buggify(Buggify::kStorageSmallChunk);
  return large ? flush_chunk() : Result<void>();
}

Result<void> ImageWriter::write_chunk(ChunkKind kind) {
  std::array<std::byte, kChunkHeadBytes> head{};
  store_le<std::uint32_t>(head, 0,
                          kind == ChunkKind::kEnd ? 0 : static_cast<std::uint32_t>(chunk_.size()));
  store_le<std::uint32_t>(head, 4, chunk_crc(image_crc_, position_, chunk_));
  TRY(file_->write_at(position_, head));
  TRY(file_->write_at(position_ + kChunkHeadBytes, chunk_));
  position_ += kChunkHeadBytes + chunk_.size();
  chunk_.clear();
  return {};
}

Result<void> ImageWriter::flush_chunk() {
  return chunk_.empty() ? Result<void>() : write_chunk(ChunkKind::kPairs);
}

Result<void> ImageWriter::finish() {
  TRY(flush_chunk());
  chunk_.resize(kEndBytes - kChunkHeadBytes);
  store_le<std::uint64_t>(chunk_, 0, pairs_);
  TRY(write_chunk(ChunkKind::kEnd));
  TRY(file_->sync());
  file_.reset();
  TRY(directory_.rename(kImageTemporaryName, image_name(info_.applied.index)));
  TRY(directory_.sync());
  return remove_old_images(directory_);
}

std::string image_name(Index index) { return fmt::format("{}{:020}", kNamePrefix, index.value()); }

Result<std::vector<std::string>> list_images(const Directory& directory) {
  TRY_ASSIGN(names, directory.list());
  std::erase_if(names, [](const std::string& name) { return !is_image_name(name); });
  std::ranges::reverse(names);
  return names;
}

Result<ImageInfo> read_image(Directory& directory, std::string_view name,
                             const ImageVisitor& visit) {
  TRY_ASSIGN(reader, open_image(directory, name));
  TRY_ASSIGN(info, reader.read_header());
  for (;;) {
    TRY_ASSIGN(chunk, reader.next_chunk());
    if (chunk.empty()) {
      return info;
    }
    TRY(reader.read_pairs(chunk, visit));
  }
}

Result<ImageCheck> check_image(Directory& directory, std::string_view name) {
  TRY_ASSIGN(reader, open_image(directory, name));
  ImageCheck check;
  TRY_ASSIGN(size, reader.file_bytes());
  check.file_bytes = size;
  const auto run = [&]() -> Result<void> {
    TRY_ASSIGN(info, reader.read_header());
    check.info = info;
    for (;;) {
      TRY_ASSIGN(chunk, reader.next_chunk());
      if (chunk.empty()) break;
      TRY(reader.read_pairs(chunk,
                            [](std::string_view, std::string_view) { return Result<void>(); }));
    }
    return {};
  };
  const auto whole = run();
  check.good_bytes = reader.position();
  if (!whole && whole.error().code() != Errc::kCorrupt) return std::unexpected(whole.error());
  if (!whole) check.damage = whole.error().message();
  return check;
}

Result<ImageInfo> read_image_info(Directory& directory, std::string_view name) {
  TRY_ASSIGN(reader, open_image(directory, name));
  return reader.read_header();
}

}  // namespace lignum::storage
