#pragma once

// The strong ids and small values that every floor of the product shares.
//
// An id is made explicitly from its representation and read with value(). Two kinds exist: `Id`
// only names something; `Position` also counts, so it has a successor and a distance. Ids of
// different kinds never mix: an Offset (position of a record in a shard) is never computed from an
// Index (position of an entry in a group's Raft log).

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace lignum {

// A name without arithmetic. `Tag` only makes the type unique.
template <class Tag, class Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Rep value_{};
};

// A place in a dense sequence 0, 1, 2 ...
template <class Tag>
class Position {
 public:
  using rep = std::uint64_t;
  constexpr Position() = default;
  constexpr explicit Position(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr Position next() const { return Position(value_ + 1); }
  friend constexpr auto operator<=>(Position, Position) = default;
  friend constexpr Position operator+(Position p, std::uint64_t n) {
    return Position(p.value_ + n);
  }
  // Distance; the caller knows that a >= b.
  friend constexpr std::uint64_t operator-(Position a, Position b) { return a.value_ - b.value_; }

 private:
  std::uint64_t value_{};
};

using Term = Position<struct TermTag>;
// Position of an entry in a group's Raft log. The first entry has index 1; 0 is "before it".
using Index = Position<struct IndexTag>;
// Position of a record in a shard. The first record has offset 0.
using Offset = Position<struct OffsetTag>;
// Version of the routing table; rises by one with every change of it.
using Epoch = Position<struct EpochTag>;

using NodeId = Id<struct NodeIdTag, std::uint32_t>;
// A Raft group ("shard group"). Group 0 is the meta group.
using GroupId = Id<struct GroupIdTag, std::uint32_t>;
// Minted once when a group is made: tells apart two groups that were given the same number.
using GroupIncarnation = Id<struct GroupIncarnationTag, std::uint64_t>;
// Minted when a node's data directory is made: a wiped disk is a new member.
using NodeIncarnation = Id<struct NodeIncarnationTag, std::uint64_t>;
// Never reused, also after a stream is deleted.
using StreamId = Id<struct StreamIdTag, std::uint64_t>;
using ShardNumber = Id<struct ShardNumberTag, std::uint32_t>;
using SegmentId = Id<struct SegmentIdTag, std::uint64_t>;
// Handed out in blocks by group 0; the Kafka format stores it as a signed 64-bit number.
using ProducerId = Id<struct ProducerIdTag, std::int64_t>;

inline constexpr GroupId kMetaGroup{0};

// Microseconds since the Unix epoch. A value, never a clock: time enters at the edges.
using TimeUs = std::int64_t;
// Milliseconds since the Unix epoch, as in Kafka record batches.
using TimeMs = std::int64_t;

// A shard: one ordered piece of a stream.
struct ShardKey {
  StreamId stream;
  ShardNumber shard;
  friend constexpr auto operator<=>(const ShardKey&, const ShardKey&) = default;
};

// One node's member of a group; the incarnation makes a wiped disk a new member.
struct ReplicaId {
  NodeId node;
  NodeIncarnation incarnation;
  friend constexpr auto operator<=>(const ReplicaId&, const ReplicaId&) = default;
};

// Identity of a log entry. Ordered as elections compare logs: by term, then by index.
struct LogId {
  Term term;
  Index index;
  friend constexpr auto operator<=>(const LogId&, const LogId&) = default;
};

// A 128-bit XXH3 chain value (docs/log_format.md). Detects accident, not an adversary.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
};

}  // namespace lignum

template <class Tag, class Rep>
struct std::hash<lignum::Id<Tag, Rep>> {
  std::size_t operator()(lignum::Id<Tag, Rep> id) const { return std::hash<Rep>{}(id.value()); }
};

template <class Tag>
struct std::hash<lignum::Position<Tag>> {
  std::size_t operator()(lignum::Position<Tag> p) const {
    return std::hash<std::uint64_t>{}(p.value());
  }
};

template <>
struct std::hash<lignum::ShardKey> {
  std::size_t operator()(const lignum::ShardKey& key) const {
    // Fibonacci hashing spreads consecutive shards of one stream.
    return std::hash<std::uint64_t>{}((key.stream.value() + 1) * 0x9E3779B97F4A7C15ULL ^
                                      key.shard.value());
  }
};
