#include "jepsen/sim/record_value.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "jepsen/check/history.h"

namespace lignum::jepsen {
namespace {

TEST(RecordValue, ComesBackAtEverySize) {
  for (const std::size_t bytes : {0U, 12U, 13U, 500U}) {
    const Value value(77, 123'456'789);
    EXPECT_EQ(value_of(record_bytes(value, bytes)), value);
  }
}

TEST(RecordValue, EveryFlippedBitAndEveryCutIsNoticed) {
  const Value value(3, 9);
  const std::vector<std::byte> good = record_bytes(value, 64);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<std::byte> bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_NE(value_of(bad), value) << bit;
  }
  EXPECT_EQ(value_of(Bytes(good).first(11)), Value::unreadable());
}

}  // namespace
}  // namespace lignum::jepsen
