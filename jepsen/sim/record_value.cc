#include "jepsen/sim/record_value.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "jepsen/check/history.h"
#include "raft/payload.h"
#include "storage/byte_order.h"

namespace lignum::jepsen {

namespace {

// The filling, eight bytes at a time: every codec makes it smaller.
class Filling {
 public:
  explicit Filling(Value value)
      : word_((std::uint64_t{value.client()} << 42 ^ value.sequence()) * 0x9E3779B97F4A7C15ULL) {}
  std::uint64_t next() {
    word_ = word_ * 0xD1342543DE82EF95ULL + 1;
    return word_ >> 56;
  }

 private:
  std::uint64_t word_;
};

}  // namespace

std::vector<std::byte> record_bytes(Value value, std::size_t bytes) {
  std::vector<std::byte> made(std::max(bytes, kValueBytesMin));
  store_le<std::uint32_t>(made, 0, value.client());
  store_le<std::uint64_t>(made, 4, value.sequence());
  Filling filling(value);
  for (std::size_t at = kValueBytesMin; at < made.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = filling.next();
    std::memcpy(made.data() + at, &word, std::min(sizeof(word), made.size() - at));
  }
  return made;
}

Value value_of(Bytes bytes) {
  if (bytes.size() < kValueBytesMin) return Value::unreadable();
  const auto client = load_le<std::uint32_t>(bytes);
  const auto sequence = load_le<std::uint64_t>(bytes, 4);
  if (client >= kHistoryClientsMax - 1 || sequence > Value::kSequenceMax) {
    return Value::unreadable();
  }
  const Value value(client, sequence);
  Filling filling(value);
  for (std::size_t at = kValueBytesMin; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = filling.next();
    if (std::memcmp(bytes.data() + at, &word, std::min(sizeof(word), bytes.size() - at)) != 0) {
      return Value::unreadable();
    }
  }
  return value;
}

}  // namespace lignum::jepsen
