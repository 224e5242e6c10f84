#include "storage/identity_file.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"

namespace lignum::storage {

namespace {

// "LGID" as it stands in the file.
constexpr std::uint32_t kMagic = 0x4449474C;
constexpr std::size_t kClusterAt = 8;
constexpr std::size_t kMemberCountAt = 40;
constexpr std::size_t kMembersAt = 48;
constexpr std::size_t kMemberBytes = 16;
constexpr std::size_t kCrcAt = kBlockBytes - sizeof(std::uint32_t);

void encode(const NodeIdentity& identity, std::span<std::byte> block) {
  store_le<std::uint32_t>(block, 0, kMagic);
  store_le<std::uint32_t>(
      block, 4, identity.members.empty() ? kDataFormatVersion : kDataFormatVersionMembers);
  std::ranges::copy(identity.cluster.bytes, block.subspan(kClusterAt).begin());
  store_le<std::uint32_t>(block, 24, identity.node.value());
  store_le<std::uint64_t>(block, 32, identity.incarnation.value());
  CHECK(identity.members.size() <= kIdentityMembersMax);
  store_le<std::uint32_t>(block, kMemberCountAt,
                          static_cast<std::uint32_t>(identity.members.size()));
  std::size_t at = kMembersAt;
  for (const ReplicaId& member : identity.members) {
    store_le<std::uint32_t>(block, at, member.node.value());
    store_le<std::uint64_t>(block, at + 8, member.incarnation.value());
    at += kMemberBytes;
  }
  store_le<std::uint32_t>(block, kCrcAt, crc32c(block.first(kCrcAt)));
}

std::optional<NodeIdentity> decode(Bytes block) {
  if (block.size() != kBlockBytes || load_le<std::uint32_t>(block, 0) != kMagic ||
      load_le<std::uint32_t>(block, kCrcAt) != crc32c(block.first(kCrcAt))) {
    return std::nullopt;
  }
  NodeIdentity identity{.cluster = {},
                        .node = NodeId(load_le<std::uint32_t>(block, 24)),
                        .incarnation = NodeIncarnation(load_le<std::uint64_t>(block, 32)),
                        .format_version = load_le<std::uint32_t>(block, 4),
                        .members = {}};
  const std::size_t members = load_le<std::uint32_t>(block, kMemberCountAt);
  if (members > kIdentityMembersMax) return std::nullopt;
  for (std::size_t i = 0; i < members; ++i) {
    const std::size_t at = kMembersAt + (i * kMemberBytes);
    identity.members.push_back(
        {.node = NodeId(load_le<std::uint32_t>(block, at)),
         .incarnation = NodeIncarnation(load_le<std::uint64_t>(block, at + 8))});
  }
  std::ranges::copy(block.subspan(kClusterAt, identity.cluster.bytes.size()),
                    identity.cluster.bytes.begin());
  return identity;
}

Result<void> write_whole(Directory& directory, const NodeIdentity& identity) {
  TRY_ASSIGN(leftover, directory.exists(kIdentityTemporaryName));
  if (leftover) {
    TRY(directory.remove(kIdentityTemporaryName));
  }
  AlignedBuffer buffer(kIdentityCopies * kBlockBytes);
  for (std::size_t copy = 0; copy < kIdentityCopies; ++copy) {
    encode(identity, buffer.span().subspan(copy * kBlockBytes, kBlockBytes));
  }
  {
    TRY_ASSIGN(file, directory.open(kIdentityTemporaryName, OpenMode::kCreate));
    TRY(file->write_at(0, buffer.bytes()));
    TRY(file->sync());
  }
  TRY(directory.rename(kIdentityTemporaryName, kIdentityFileName));
  return directory.sync();
}

}  // namespace

std::string ClusterId::text() const {
  constexpr std::array<char, 16> kDigits = {'0', '1', '2', '3', '4', '5', '6', '7',
                                            '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string result;
  for (const std::byte byte : bytes) {
    const auto value = std::to_integer<std::size_t>(byte);
    result.push_back(kDigits.at(value / 16));
    result.push_back(kDigits.at(value % 16));
  }
  return result;
}

GroupIncarnation group_incarnation(const ClusterId& cluster, GroupId group) {
  const auto low = load_le<std::uint64_t>(cluster.bytes, 0);
  const auto high = load_le<std::uint64_t>(cluster.bytes, 8);
  // An odd multiplier keeps the groups of one cluster apart.
  return GroupIncarnation(low ^ ((high | 1U) * (std::uint64_t{group.value()} + 1)));
}

Result<std::optional<IdentityRead>> read_identity(Directory& directory) {
  TRY_ASSIGN(present, directory.exists(kIdentityFileName));
  if (!present) {
    return std::nullopt;
  }
  const std::string path = directory.path() + "/" + kIdentityFileName;
  AlignedBuffer buffer(kIdentityCopies * kBlockBytes);
  TRY_ASSIGN(file, directory.open(kIdentityFileName, OpenMode::kRead));
  TRY_ASSIGN(size, file->size());
  TRY(file->read_at(0, buffer.span()));
  const auto first = decode(buffer.bytes().first(kBlockBytes));
  const auto second = decode(buffer.bytes().subspan(kBlockBytes, kBlockBytes));
  if (!first && !second) {
    return fail(Errc::kCorrupt,
                path +
                    ": both copies are damaged; this node's identity is lost: move the "
                    "directory away and let the node join as a new one");
  }
  if (first && second && *first != *second) {
    return fail(Errc::kCorrupt, path + ": its two copies name different nodes");
  }
  const NodeIdentity& identity = first ? *first : *second;
  if (identity.format_version != kDataFormatVersion &&
      identity.format_version != kDataFormatVersionMembers) {
    return fail(Errc::kUnsupported,
                path + ": the data has format version " + std::to_string(identity.format_version) +
                    ", this build reads versions " + std::to_string(kDataFormatVersion) + " and " +
                    std::to_string(kDataFormatVersionMembers) +
                    ": use the build that wrote it, or another directory");
  }
  return IdentityRead{
      .identity = identity, .good = {first.has_value(), second.has_value()}, .file_bytes = size};
}

Result<std::optional<NodeIdentity>> load_identity(Directory& directory) {
  TRY_ASSIGN(read, read_identity(directory));
  if (!read) return std::nullopt;
  const bool whole = read->good[0] && read->good[1];
  // What was appended is damage too.
  if (!whole || read->file_bytes != kIdentityCopies * kBlockBytes) {
    // One copy is enough to start with, and a full disk no reason not to: the next start heals it.
    const auto healed = write_whole(directory, read->identity);
    if (!healed && healed.error().code() != Errc::kNoSpace) return std::unexpected(healed.error());
  }
  return read->identity;
}

Result<void> store_identity(Directory& directory, const NodeIdentity& identity) {
  TRY_ASSIGN(present, directory.exists(kIdentityFileName));
  if (present) {
    return fail(Errc::kAlreadyExists, directory.path() + ": has an identity already");
  }
  return write_whole(directory, identity);
}

}  // namespace lignum::storage
