// The judge of the crash proof sees what it is there to see.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "tests/cluster/ledger.h"

namespace lignum::cluster {
namespace {

class AuditTest : public testing::Test {
 protected:
  RecordName append() { return ledger_.begin(0, 100).value(); }
  RecordName acked(std::uint64_t offset) {
    const RecordName name = append();
    ledger_.end(name, AppendAck{.shard = ShardNumber(0), .offset = Offset(offset)});
    return name;
  }
  RecordName ended_with(Errc code) {
    const RecordName name = append();
    ledger_.end(name, fail(code, "because"));
    return name;
  }
  void read(RecordName name, std::uint64_t offset) { read_value(value_of(name), offset); }
  void read_value(const std::string& value, std::uint64_t offset) {
    const std::vector<std::byte> bytes = to_bytes(value);
    audit_.observe({.shard = ShardNumber(0), .offset = Offset(offset), .value = bytes});
  }
  const Audit::Counts& judged() {
    audit_.finish();
    return audit_.counts();
  }

  Ledger ledger_{1};
  Audit audit_{ledger_};
};

TEST_F(AuditTest, AcceptsWhatWasPromised) {
  const auto first = acked(0);
  const auto unknown = ended_with(Errc::kUnknownOutcome);
  ended_with(Errc::kUnknownOutcome);
  ended_with(Errc::kOverloaded);
  const auto last = acked(2);
  read(first, 0);
  read(unknown, 1);
  read(last, 2);
  EXPECT_EQ(judged(), (Audit::Counts{.read = 3})) << audit_.complaints();
}

TEST_F(AuditTest, SeesALostRecord) {
  read(acked(0), 0);
  acked(1);
  EXPECT_EQ(judged().lost, 1);
}

TEST_F(AuditTest, SeesARecordTwice) {
  const auto name = acked(0);
  read(name, 0);
  read(name, 1);
  EXPECT_EQ(judged().duplicated, 1);
}

TEST_F(AuditTest, SeesRecordsInAnotherOrder) {
  const auto first = ended_with(Errc::kUnknownOutcome);
  const auto second = ended_with(Errc::kUnknownOutcome);
  read(second, 0);
  read(first, 1);
  EXPECT_EQ(judged().reordered, 1);
}

TEST_F(AuditTest, SeesOtherBytes) {
  std::string value = value_of(acked(0));
  value.back() ^= 1;
  read_value(value, 0);
  EXPECT_EQ(judged().wrong, 1);
}

TEST_F(AuditTest, SeesAHoleInTheOffsets) {
  read(acked(1), 1);
  EXPECT_EQ(judged().wrong, 1);
}

TEST_F(AuditTest, SeesAnAckOfAnotherPlace) {
  read(acked(7), 0);
  EXPECT_EQ(judged().wrong, 1);
}

TEST_F(AuditTest, SeesAFailedRecord) {
  read(ended_with(Errc::kOverloaded), 0);
  EXPECT_EQ(judged().wrong, 1);
}

}  // namespace
}  // namespace lignum::cluster
