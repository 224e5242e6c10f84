// The small files of a node as somebody else left them: manifest, hard state, identity, images. The
// first byte of the input chooses the file, the rest are its bytes. Loading reports damage or gives
// something that loads the same again.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "jepsen/sim/sim_disk.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/file.h"
#include "storage/hard_state_block.h"
#include "storage/identity_file.h"
#include "storage/manifest.h"
#include "storage/snapshot_image.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

constexpr std::string_view kImageName = "image-00000000000000000007";

void write_file(storage::Directory& directory, std::string_view name, Bytes bytes) {
  auto file = directory.open(name, storage::OpenMode::kCreate);
  CHECK(file.has_value());
  CHECK((*file)->write_at(0, bytes).has_value());
}

void check_manifest(storage::Directory& directory) {
  const auto loaded = storage::ManifestFile::load(directory);
  if (!loaded) return;
  const auto manifest = loaded->file->current();
  const auto again = storage::ManifestFile::load(directory);
  CHECK(again.has_value() && again->file->current() == manifest);
}

void check_identity(storage::Directory& directory) {
  const auto identity = storage::load_identity(directory);
  if (!identity) return;
  const auto again = storage::load_identity(directory);
  CHECK(again.has_value() && *again == *identity);
}

void check_image(storage::Directory& directory) {
  std::size_t pairs = 0;
  const auto info = storage::read_image(directory, kImageName,
                                        [&](std::string_view, std::string_view) -> Result<void> {
                                          ++pairs;
                                          return {};
                                        });
  const auto header = storage::read_image_info(directory, kImageName);
  CHECK(!info || (header.has_value() && *header == *info));
}

void decode_blocks(Bytes bytes) {
  static_cast<void>(storage::decode_hard_state(bytes));
  static_cast<void>(storage::decode_hard_state_header(bytes));
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const auto kind = input.take<std::uint8_t>() % 4;
  jepsen::SimDisk disk;
  const auto directory = disk.root();
  switch (kind) {
    case 0:
      write_file(*directory, storage::kManifestName, input.rest());
      return check_manifest(*directory);
    case 1:
      write_file(*directory, storage::kIdentityFileName, input.rest());
      return check_identity(*directory);
    case 2:
      write_file(*directory, kImageName, input.rest());
      return check_image(*directory);
    default:
      std::array<std::byte, storage::kBlockBytes> block{};
      const Bytes taken = input.take_bytes(block.size());
      std::copy(taken.begin(), taken.end(), block.begin());
      decode_blocks(block);
  }
}

}  // namespace lignum::fuzz
