#pragma once

// Who this data directory belongs to: written once, when the directory is made.
//
// Two copies in different 4 KiB blocks of one file, each with its own CRC-32C; the file appears by
// rename, so it is whole or absent. Called from one thread at a time; keeps nothing open.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"

namespace lignum::storage {

inline constexpr const char* kIdentityFileName = "identity";
// What is being written.
inline constexpr const char* kIdentityTemporaryName = "identity.tmp";
// Version of everything below a data directory; a change of any format bumps it. The second one
// differs from the first in that the identity names the members of a cluster of several nodes.
// 1 and 2 did not keep which producers a shard had forgotten; in 3 and 4 segments did not name
// their node, nor footers, markers and skips their group.
inline constexpr std::uint32_t kDataFormatVersion = 5;
inline constexpr std::uint32_t kDataFormatVersionMembers = 6;
// Members of an identity.
inline constexpr std::size_t kIdentityMembersMax = 64;

// A random 16-byte number, minted by the first node of a cluster.
struct ClusterId {
  std::array<std::byte, 16> bytes{};
  // 32 hexadecimal digits.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const ClusterId&, const ClusterId&) = default;
};

struct NodeIdentity {
  ClusterId cluster;
  NodeId node;
  NodeIncarnation incarnation;
  std::uint32_t format_version = kDataFormatVersion;
  // The voters that every group of this directory began with, this node among them; empty: this
  // node alone. What a group's log says later goes before it.
  std::vector<ReplicaId> members;
  friend bool operator==(const NodeIdentity&, const NodeIdentity&) = default;
};

// The incarnation of a group of the first bootstrap: a function of the cluster and the number.
[[nodiscard]] GroupIncarnation group_incarnation(const ClusterId& cluster, GroupId group);

inline constexpr std::size_t kIdentityCopies = 2;

// The file as it lies there; a copy is a block.
struct IdentityRead {
  NodeIdentity identity;
  std::array<bool, kIdentityCopies> good{};
  std::uint64_t file_bytes = 0;
};
// As load_identity(), but changes nothing.
[[nodiscard]] Result<std::optional<IdentityRead>> read_identity(Directory& directory);

// None when the directory has no identity yet. kCorrupt when both copies are bad, kUnsupported for
// a format version this build cannot read; messages say what to do. One bad copy is healed by the
// other, through a new file.
[[nodiscard]] Result<std::optional<NodeIdentity>> load_identity(Directory& directory);

// Makes the identity durable, in the format version that it needs. kAlreadyExists when there is
// one; kNoSpace and kIo as the directory.
[[nodiscard]] Result<void> store_identity(Directory& directory, const NodeIdentity& identity);

}  // namespace lignum::storage
