// Configurations of a group: what decodes is valid and has no second form. The first byte of the
// input chooses whether the checksum is put right first, so that the fuzzer gets at the lists.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "raft/check.h"
#include "raft/membership.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kCrcFrom = 8;

}  // namespace

void fuzz_one(Bytes input) {
  Input in(input);
  const bool sealed = in.take<std::uint8_t>() % 2 == 1;
  std::vector<std::byte> bytes(in.rest().begin(), in.rest().end());
  if (sealed && bytes.size() >= kCrcFrom) {
    store_le<std::uint32_t>(bytes, kCrcAt, crc32c(Bytes(bytes).subspan(kCrcFrom)));
  }
  const auto membership = raft::decode_membership(bytes);
  if (!membership) return;
  CHECK(raft::validate(*membership));
  CHECK(membership->members().size() <= raft::kMembersMax);
  CHECK(std::ranges::equal(raft::encode(*membership).bytes(), bytes));
}

}  // namespace lignum::fuzz
