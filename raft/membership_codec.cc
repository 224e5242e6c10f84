// encode() and decode_membership() of raft/membership.h; docs/log_format.md describes the bytes.

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

constexpr std::uint32_t kMagic = 0x434C4C4C;  // "LLLC"
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kAutoLeave = 1;  // the only flag
constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kCrcFrom = 8;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kFlagsAt = 9;
constexpr std::size_t kZerosAt = 10;
constexpr std::size_t kCountsAt = 12;
constexpr std::size_t kRecoveryAt = 16;
constexpr std::size_t kMembersAt = 24;
constexpr std::size_t kMemberBytes = 12;
static_assert(kMembersMax <= 0xFF);

template <std::unsigned_integral T>
void store(std::vector<std::byte>& bytes, std::size_t at, std::type_identity_t<T> value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[at + i] = std::byte(value >> (8 * i));
}

template <std::unsigned_integral T>
T load(Bytes bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) {
    value = static_cast<T>((value << 8U) | std::to_integer<T>(bytes[at + i]));
  }
  return value;
}

// CRC-32C bit by bit: configurations are short and rare, and the fast one lies on a floor above.
std::uint32_t crc32c(Bytes bytes) {
  constexpr std::uint32_t kReversedPolynomial = 0x82F63B78;
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kReversedPolynomial : 0);
    }
  }
  return ~crc;
}

std::unexpected<Error> corrupt(const std::string& why) {
  return fail(Errc::kCorrupt, "not a configuration of a group: " + why);
}

// The lists in the order of their counts and members.
template <class Value>
auto lists_of(Value& membership) {
  return std::array{&membership.voters, &membership.outgoing, &membership.learners,
                    &membership.learners_next};
}

// Everything but the lists themselves.
Result<void> check_frame(Bytes bytes) {
  if (bytes.size() < kMembersAt) return corrupt("it is shorter than its head");
  if (load<std::uint32_t>(bytes, 0) != kMagic) return corrupt("the first four bytes are others");
  if (load<std::uint32_t>(bytes, kCrcAt) != crc32c(bytes.subspan(kCrcFrom))) {
    return corrupt("the checksum is another");
  }
  const auto version = load<std::uint8_t>(bytes, kVersionAt);
  if (version > kVersion) {
    return fail(Errc::kUnsupported, "a configuration of a group in version " +
                                        std::to_string(version) + "; this build knows " +
                                        std::to_string(kVersion) + ": upgrade it");
  }
  if (version != kVersion || load<std::uint8_t>(bytes, kFlagsAt) > kAutoLeave ||
      load<std::uint16_t>(bytes, kZerosAt) != 0) {
    return corrupt("version, flags or zeros are others");
  }
  return {};
}

}  // namespace

Payload encode(const Membership& membership) {
  CHECK(validate(membership));
  std::size_t count = 0;
  for (const auto* list : lists_of(membership)) count += list->size();
  std::vector<std::byte> bytes(kMembersAt + count * kMemberBytes);
  store<std::uint32_t>(bytes, 0, kMagic);
  store<std::uint8_t>(bytes, kVersionAt, kVersion);
  store<std::uint8_t>(bytes, kFlagsAt, membership.auto_leave ? kAutoLeave : std::uint8_t{0});
  store<std::uint64_t>(bytes, kRecoveryAt, membership.recovery);
  std::size_t count_at = kCountsAt;
  std::size_t member_at = kMembersAt;
  for (const auto* list : lists_of(membership)) {
    store<std::uint8_t>(bytes, count_at++, static_cast<std::uint8_t>(list->size()));
    for (const ReplicaId& replica : *list) {
      store<std::uint32_t>(bytes, member_at, replica.node.value());
      store<std::uint64_t>(bytes, member_at + sizeof(std::uint32_t), replica.incarnation.value());
      member_at += kMemberBytes;
    }
  }
  store<std::uint32_t>(bytes, kCrcAt, crc32c(Bytes(bytes).subspan(kCrcFrom)));
  return Payload(std::move(bytes));
}

Result<Membership> decode_membership(Bytes bytes) {
  TRY(check_frame(bytes));
  Membership membership;
  membership.auto_leave = load<std::uint8_t>(bytes, kFlagsAt) == kAutoLeave;
  membership.recovery = load<std::uint64_t>(bytes, kRecoveryAt);
  // A count is one byte, so that the lists are bounded before they are looked at.
  std::size_t count_at = kCountsAt;
  std::size_t member_at = kMembersAt;
  for (auto* list : lists_of(membership)) {
    const auto count = load<std::uint8_t>(bytes, count_at++);
    if ((bytes.size() - member_at) / kMemberBytes < count) {
      return corrupt("it is shorter than its lists");
    }
    for (std::size_t i = 0; i < count; ++i) {
      const NodeId node(load<std::uint32_t>(bytes, member_at));
      const NodeIncarnation incarnation(
          load<std::uint64_t>(bytes, member_at + sizeof(std::uint32_t)));
      list->push_back({.node = node, .incarnation = incarnation});
      member_at += kMemberBytes;
    }
  }
  if (member_at != bytes.size()) return corrupt("bytes follow its lists");
  if (const Result<void> valid = validate(membership); !valid) {
    return corrupt(valid.error().message());
  }
  return membership;
}

}  // namespace lignum::raft
