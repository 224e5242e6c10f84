#pragma once

// A snapshot's image: the state of one group's state machine as of one applied entry, in one file.
//
//   image-<index>   header | chunk | chunk | ... | end
//   chunk           length, CRC-32C, then key/value pairs (a pair is never split)
//   end             a chunk of length 0 that states how many pairs came before it
//
// It is written under a temporary name, synced, renamed, and the directory synced: an image is
// whole or absent. The newest kImagesKept stay. docs/log_format.md gives the bytes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"

namespace lignum::storage {

inline constexpr std::size_t kImagesKept = 2;
// What is being written.
inline constexpr const char* kImageTemporaryName = "image.tmp";
// A chunk is closed once it holds this much; one pair may take it up to kImageChunkMax.
inline constexpr std::size_t kImageChunkBytes = std::size_t{64} << 10;
inline constexpr std::size_t kImageChunkMax = std::size_t{16} << 20;

// What an image stands for.
struct ImageInfo {
  GroupId group;
  GroupIncarnation incarnation;
  // The last entry the state contains, its chain value and its append time.
  LogId applied;
  Hash128 chain;
  TimeUs append_time = 0;
  friend bool operator==(const ImageInfo&, const ImageInfo&) = default;
};

// Writes one image. Owned by whoever takes the snapshot; one thread at a time (any thread).
// Dropping it before finish() leaves a temporary file, which the next create() replaces.
class ImageWriter {
 public:
  // `directory` outlives the writer.
  [[nodiscard]] static Result<std::unique_ptr<ImageWriter>> create(Directory& directory,
                                                                   const ImageInfo& info);
  // Pairs come in key order (CHECKed), as StateMachine::for_each() gives them. kTooLarge when a
  // pair does not fit kImageChunkMax; kIo or kNoSpace: drop the writer, the image never existed.
  [[nodiscard]] Result<void> add(std::string_view key, std::string_view value);
  // Makes the image durable under its name, then removes images beyond the newest kImagesKept. A
  // failure of the removal is returned too; the image stands all the same.
  [[nodiscard]] Result<void> finish();

 private:
  ImageWriter(Directory& directory, std::unique_ptr<File> file, const ImageInfo& info)
      : directory_(directory), file_(std::move(file)), info_(info) {}
  enum class ChunkKind : std::uint8_t { kPairs, kEnd };
  [[nodiscard]] Result<void> write_chunk(ChunkKind kind);
  [[nodiscard]] Result<void> flush_chunk();

  Directory& directory_;
  std::unique_ptr<File> file_;
  ImageInfo info_;
  std::string last_key_;
  std::vector<std::byte> chunk_;
  std::uint32_t image_crc_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t pairs_ = 0;
};

// The name of the image of the state after entry `index`.
[[nodiscard]] std::string image_name(Index index);

// Names of the images in `directory`, newest first.
[[nodiscard]] Result<std::vector<std::string>> list_images(const Directory& directory);

using ImageVisitor = std::function<Result<void>(std::string_view key, std::string_view value)>;

// Verifies the image and calls `visit` for every pair in key order; the views live for the call.
// Pairs of a chunk are visited after the chunk was verified, so on failure some were: the caller
// resets what it filled. kCorrupt names file and byte; an error of `visit` is passed on.
[[nodiscard]] Result<ImageInfo> read_image(Directory& directory, std::string_view name,
                                           const ImageVisitor& visit);

// How far an image checks.
struct ImageCheck {
  ImageInfo info;
  std::uint64_t file_bytes = 0;
  // Bytes from 0 on that check: all of them, unless `damage` says what does not there.
  std::uint64_t good_bytes = 0;
  std::string damage;
};
// Reads all of it. Damage is no error; kUnsupported for another version, kIo.
[[nodiscard]] Result<ImageCheck> check_image(Directory& directory, std::string_view name);

// The header only, verified. As read_image().
[[nodiscard]] Result<ImageInfo> read_image_info(Directory& directory, std::string_view name);

}  // namespace lignum::storage
