#include "jepsen/sim/node_files.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_node.h"
#include "raft/buggify.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/hard_state_block.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"
#include "storage/manifest.h"
#include "storage/segment_header.h"

namespace lignum::jepsen {

namespace {

struct FileOnDisk {
  std::string path;
  // Of the first of two copies.
  std::uint64_t first = 0;
  std::uint64_t copy = storage::kBlockBytes;
};

bool exists(const SimDisk& disk, const std::string& path) {
  const auto files = disk.files();
  return std::ranges::find(files, path, &SimDisk::FileInfo::path) != files.end();
}

std::string group_path(GroupId group, std::string_view name) {
  return fmt::format("{}/{}/{}", storage::kGroupsDirectoryName, server::group_directory_name(group),
                     name);
}

// Files of logs and images whose paths end so.
std::vector<std::string> group_files(const SimDisk& disk, std::string_view end) {
  std::vector<std::string> paths;
  for (const SimDisk::FileInfo& file : disk.files()) {
    const bool group = file.path.starts_with(storage::kGroupsDirectoryName) ||
                       file.path.starts_with(storage::kImagesDirectoryName);
    if (group && file.path.ends_with(end)) paths.push_back(file.path);
  }
  return paths;
}

std::vector<std::string> images_of(const SimDisk& disk) {
  std::vector<std::string> paths = group_files(disk, "");
  std::erase_if(paths, [](const std::string& path) {
    return !path.starts_with(storage::kImagesDirectoryName);
  });
  return paths;
}

std::string_view flip_within(SimDisk& disk, const std::string& path, std::uint64_t from,
                             std::uint64_t bytes, Random& random, std::string_view what) {
  const std::uint64_t byte = from + random.below(bytes);
  const std::uint8_t mask = static_cast<std::uint8_t>(1U << random.below(8));
  if (byte >= disk.contents(path).size()) return {};
  disk.flip(path, byte, mask);
  return what;
}

std::string_view strike_identity(SimNode& node, Random& random) {
  SimDisk& disk = node.disk();
  const auto read = storage::read_identity(*disk.clone()->root());
  const auto found = read.value_or(std::nullopt);
  if (!found || !found->good[0] || !found->good[1]) return {};
  const std::string path = storage::kIdentityFileName;
  if (random.chance(1, 4)) {
    std::vector<std::byte> bytes = disk.contents(path);
    bytes.resize(bytes.size() + 1 + random.below(storage::kBlockBytes));
    disk.put(path, bytes);
    return "identity grown";
  }
  const std::uint64_t copy = random.below(storage::kIdentityCopies);
  return flip_within(disk, path, copy * storage::kBlockBytes, storage::kBlockBytes, random,
                     "bit of an identity rotten");
}

// What stands in one block of terms and votes went to another one, too.
std::string_view misdirect_hard_state(SimDisk& disk, std::uint64_t to, std::uint64_t from) {
  std::vector<std::byte> bytes = disk.contents(storage::kHardStateFileName);
  if (std::max(from, to) + storage::kBlockBytes > bytes.size()) return {};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), storage::kBlockBytes,
              bytes.begin() + static_cast<std::ptrdiff_t>(to));
  disk.put(storage::kHardStateFileName, bytes);
  return "write of terms and votes misdirected";
}

std::string_view strike_hard_state(SimNode& node, Random& random) {
  SimDisk& disk = node.disk();
  const auto copy = disk.clone();
  const auto root = copy->root();
  if (!root->exists(storage::kHardStateFileName).value_or(false)) return {};
  const auto examined = storage::HardStateFile::examine(*root);
  // As a power cut has left it, or something may be on its way.
  const bool at_rest = node.state() == SimNode::State::kDown && disk.operations() == 0;
  if (!at_rest || !examined || !examined->bad.empty()) return {};
  const std::string path = storage::kHardStateFileName;
  if (random.chance(1, 4)) {
    const std::uint64_t header = random.below(storage::kHardStateHeaderCopies);
    return flip_within(disk, path, header * storage::kBlockBytes, storage::kBlockBytes, random,
                       "bit of a header of terms and votes rotten");
  }
  const GroupId group(static_cast<std::uint32_t>(random.below(node.plan().data_groups + 1)));
  const std::uint64_t block = storage::hard_state_position(
      group, random.below(storage::kHardStateSlots), random.below(storage::kHardStateSlotCopies));
  if (random.chance(1, 4)) {
    const GroupId other(static_cast<std::uint32_t>(random.below(node.plan().data_groups + 1)));
    const std::size_t slot = random.below(storage::kHardStateSlots);
    return misdirect_hard_state(disk, block, storage::hard_state_position(other, slot, 0));
  }
  return flip_within(disk, path, block, storage::kBlockBytes, random,
                     "bit of terms and votes rotten");
}

std::string_view strike_manifest(SimNode& node, Random& random) {
  SimDisk& disk = node.disk();
  const GroupId group(static_cast<std::uint32_t>(random.below(node.plan().data_groups + 1)));
  const auto copy = disk.clone();
  const auto groups = copy->root()->open_directory(storage::kGroupsDirectoryName);
  if (!groups) return {};
  const auto directory = (*groups)->open_directory(server::group_directory_name(group));
  if (!directory || !(*directory)->exists(storage::kManifestName).value_or(false)) return {};
  const auto read = storage::read_manifest(**directory);
  if (!read || read->good.size() != 2) return {};
  const std::string path = group_path(group, storage::kManifestName);
  // What neither copy covers is not looked at.
  const storage::ManifestRead::Copy& struck = read->good[random.below(2)];
  return flip_within(disk, path, struck.position, struck.bytes, random, "bit of a manifest rotten");
}

// The block that names a segment; its frames say so, too.
std::string_view strike_header(SimNode& node, Random& random) {
  const std::vector<std::string> paths = group_files(node.disk(), ".seg");
  if (paths.empty()) return {};
  return flip_within(node.disk(), paths[random.below(paths.size())], 0, storage::kBlockBytes,
                     random, "bit of a segment's header rotten");
}

// What an editor or a backup leaves beside images. Nobody has to care.
std::string_view leave_stray_file(SimNode& node, Random& random) {
  SimDisk& disk = node.disk();
  const std::vector<std::string> images = images_of(disk);
  if (images.empty()) return {};
  // One character is another one.
  std::string path = images[random.below(images.size())];
  const std::size_t name = path.rfind('/') + 1;
  path[name + random.below(path.size() - name)] = "~!x"[random.below(3)];
  if (exists(disk, path)) return {};
  disk.put(path, disk.contents(storage::kIdentityFileName));
  return "stray file";
}

std::string_view both_copies(SimNode& node, Random& random) {
  SimDisk& disk = node.disk();
  const GroupId group(static_cast<std::uint32_t>(random.below(node.plan().data_groups + 1)));
  const std::vector<FileOnDisk> files = {
      {.path = storage::kIdentityFileName, .first = 0},
      {.path = storage::kHardStateFileName, .first = 0},
      {.path = storage::kHardStateFileName,
       .first = storage::hard_state_position(group, 0, random.below(2))},
      {.path = group_path(group, storage::kManifestName), .first = 0}};
  const FileOnDisk& file = files[random.below(files.size())];
  if (!exists(disk, file.path)) return {};
  const std::uint64_t bytes = disk.contents(file.path).size();
  // Of terms and votes the other slot, too.
  const std::uint64_t copies = 2 + random.below(2);
  for (std::uint64_t at = file.first; at < std::min(file.first + copies * file.copy, bytes);
       at += file.copy) {
    disk.flip(file.path, at, 1);
  }
  return "both copies rotten";
}

// Both kinds of blocks that name a version name it here, and end in their checksum.
constexpr std::size_t kVersionAt = 4;
// Of an image, whose header comes first.
constexpr std::size_t kImageHeaderBytes = 64;
constexpr std::size_t kImageCrcAt = 12;

void seal_block(std::vector<std::byte>& bytes, std::size_t block) {
  constexpr std::size_t kCovered = storage::kBlockBytes - sizeof(std::uint32_t);
  store_le<std::uint32_t>(bytes, block + kCovered, crc32c(Bytes(bytes).subspan(block, kCovered)));
}

// One file is as a newer build writes it, to which whoever runs the node cannot go back.
std::string_view another_version(SimNode& node, Random& random) {
  constexpr std::uint32_t kNewer = 1000;
  SimDisk& disk = node.disk();
  std::vector<std::string> paths = images_of(disk);
  paths.emplace_back(storage::kIdentityFileName);
  paths.emplace_back(storage::kHardStateFileName);
  const std::string& path = paths[random.below(paths.size())];
  if (!exists(disk, path)) return {};
  std::vector<std::byte> bytes = disk.contents(path);
  if (path.starts_with(storage::kImagesDirectoryName)) {
    if (bytes.size() < kImageHeaderBytes) return {};
    store_le<std::uint32_t>(bytes, kVersionAt, kNewer);
    store_le<std::uint32_t>(bytes, kImageCrcAt, 0);
    const std::uint32_t crc = crc32c(Bytes(bytes).first(kImageHeaderBytes));
    store_le<std::uint32_t>(bytes, kImageCrcAt, crc);
  } else {
    if (bytes.size() < 2 * storage::kBlockBytes) return {};
    for (const std::size_t block : {std::size_t{0}, storage::kBlockBytes}) {
      store_le<std::uint32_t>(bytes, block + kVersionAt, kNewer);
      seal_block(bytes, block);
    }
  }
  disk.put(path, bytes);
  return "file of another version";
}

// Ends before its end, or behind it.
std::string_view move_end_of_image(SimNode& node, Random& random) {
  constexpr std::size_t kLastBytes = 24;
  SimDisk& disk = node.disk();
  const auto paths = images_of(disk);
  if (paths.empty()) return {};
  const std::string& path = paths[random.below(paths.size())];
  std::vector<std::byte> bytes = disk.contents(path);
  if (bytes.size() < kLastBytes) return {};
  const std::uint64_t by = 1 + random.below(kLastBytes);
  bytes.resize(random.chance(1, 2) ? bytes.size() + by : bytes.size() - by);
  disk.put(path, bytes);
  return "end of an image moved";
}

// A segment without its header could as well be one that was never written to.
std::string_view replace(SimDisk& disk, const std::string& path, const SimDisk& from,
                         const std::string& other) {
  if (!exists(from, other)) return {};
  const std::vector<std::byte> bytes = from.contents(other);
  const bool headed = bytes.size() >= storage::kBlockBytes &&
                      storage::decode_segment_header(Bytes(bytes).first(storage::kBlockBytes));
  if (path.ends_with(".seg") && !headed) return {};
  disk.put(path, bytes);
  return &disk == &from ? "file of another place" : "file of another node";
}

std::string_view mishap(SimNode& node, const SimNode& other, Random& random) {
  SimDisk& disk = node.disk();
  constexpr std::array<std::string_view, 3> kEnds = {"", ".seg", storage::kManifestName};
  const auto paths = group_files(disk, kEnds.at(random.below(kEnds.size())));
  if (paths.empty()) return {};
  const std::string& path = paths[random.below(paths.size())];
  std::vector<std::byte> bytes = disk.contents(path);
  switch (random.below(4)) {
    case 0:
      disk.erase(path);
      return "file removed";
    case 1:
      // Of some not even a block is left.
      bytes.resize(random.below(random.chance(1, 3) ? std::min<std::size_t>(bytes.size(), 4000) + 1
                                                    : bytes.size() + 1));
      disk.put(path, bytes);
      return "file cut";
    case 2:
      // That of another group, or another file of the same one.
      return replace(disk, path, disk, paths[random.below(paths.size())]);
    default:
      // Segments say who wrote them; a list of another node's segments would be believed.
      if (!path.ends_with(".seg")) return {};
      return replace(disk, path, other.disk(), path);
  }
}

}  // namespace

std::string_view strike_node_file(SimNode& node, Random& random) {
  if (random.chance(1, 8)) return leave_stray_file(node, random);
  return random.chance(1, 5) ? strike_header(node, random) : strike_kept_twice(node, random);
}

std::string_view strike_kept_twice(SimNode& node, Random& random) {
  const WithoutBuggify plain;
  switch (random.below(4)) {
    case 0:
      return strike_identity(node, random);
    case 1:
      return strike_manifest(node, random);
    default:
      return strike_hard_state(node, random);
  }
}

std::string_view strike_beyond(SimNode& node, const SimNode& other, Random& random) {
  const WithoutBuggify plain;
  switch (random.below(7)) {
    case 0:
      return another_version(node, random);
    case 1:
      return move_end_of_image(node, random);
    case 2:
    case 3:
      return both_copies(node, random);
    default:
      return mishap(node, other, random);
  }
}

}  // namespace lignum::jepsen
