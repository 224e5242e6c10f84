// A history survives being written and read, and text that is none is refused with its line.

#include "jepsen/check/history_text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "jepsen/check/check_command.h"
#include "jepsen/check/history.h"
#include "jepsen/check/log_check.h"
#include "raft/error.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/jepsen/draft.h"

namespace lignum::jepsen {
namespace {

std::string text_of(const History& history) {
  std::ostringstream out;
  write_history(out, history);
  return out.str();
}

Result<History> parse(const std::string& text) {
  std::istringstream in(text);
  return read_history(in);
}

TEST(HistoryText, SurvivesTheTrip) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed, "text");
    History history;
    history.shard({.stream = StreamId(1), .shard = ShardNumber(0)}) =
        good_history(random, {.operations = 500}).build();
    history.shard({.stream = StreamId(7), .shard = ShardNumber(3)}) =
        small_history(random, false).build();
    const std::string text = text_of(history);
    const Result<History> again = parse(text);
    ASSERT_TRUE(again) << again.error().describe();
    EXPECT_EQ(text_of(*again), text);
    EXPECT_EQ(report_text(check_history(*again)), report_text(check_history(history)));
  }
}

TEST(HistoryText, IsAsTheHeaderSays) {
  const std::string text =
      "lignum-history 1\n"
      "append 1/0 3.7 2 100 180 ok 41 - in-order\n"
      "append 1/0 3.9 1 100 never unknown - 43 none\n"
      "read 1/0 9 190 220 38 43 3.5+1 4.0 ? 3.7+1\n"
      "trimmed 1/0 9 190 220 3 30\n"
      "tail 1/0 5 229 start 41\n"
      "tail 1/0 5 230 records 41 3.7+1\n"
      "tail 1/0 5 231 gap 43 50\n"
      "trim 1/0 always 30\n"
      "watermark 1/0 2 240 43\n"
      "chain 1/0 2 43 00112233445566778899aabbccddeeff\n"
      "log 1/0 2 30 5.0+7 3.5+1 4.0 3.7+1\n";
  const Result<History> history = parse("\n# a comment\n" + text);
  EXPECT_FALSE(history);
  const Result<History> good = parse(text.substr(0, 17) + "\n# a comment\n" + text.substr(17));
  ASSERT_TRUE(good) << good.error().describe();
  EXPECT_EQ(text_of(*good), text);
  const ShardHistory& shard = good->shards().begin()->second;
  EXPECT_EQ(shard.chains().front().hash.high, 0x0011223344556677U);
  EXPECT_EQ(shard.values(shard.reads().front()).size(), 6U);
  EXPECT_EQ(shard.operations(), 7U);
}

TEST(HistoryText, SplitsLongLogs) {
  History history;
  Values log;
  for (std::uint64_t i = 0; i < 10'000; ++i) log.emplace_back(static_cast<std::uint32_t>(i % 7), i);
  history.shard({}).add_log({.replica = 2, .start = Offset(5)}, log);
  const Result<History> again = parse(text_of(history));
  ASSERT_TRUE(again);
  const ShardHistory& shard = again->shards().begin()->second;
  ASSERT_EQ(shard.logs().size(), 3U);
  EXPECT_EQ(shard.logs().at(2).start, Offset(5 + 2 * kHistoryLogLineRecordsMax));
  EXPECT_EQ(text_of(*again), text_of(history));
}

TEST(HistoryText, NamesTheLineThatIsWrong) {
  const std::vector<std::string> wrong = {
      "apend 1/0 3.7 2 100 180 ok 41 - none",
      "append 1 3.7 2 100 180 ok 41 - none",
      "append 1/x 3.7 2 100 180 ok 41 - none",
      "append 1/0 3,7 2 100 180 ok 41 - none",
      "append 1/0 3.7 0 100 180 ok 41 - none",
      "append 1/0 3.7 99999999 100 180 ok 41 - none",
      "append 1/0 3.4398046511102 2 100 180 ok 41 - none",
      "append 1/0 4194304.1 2 100 180 ok 41 - none",
      "append 1/0 3.7 2 100 soon ok 41 - none",
      "append 1/0 3.7 2 100 180 okay 41 - none",
      "append 1/0 3.7 2 100 180 ok 41 -",
      "append 1/0 3.7 2 100 180 ok 41 - none none",
      "read 1/0 9 190 220 38 43 3.5+99999999",
      "read 1/0 9 190 220 38 43 ?+1",
      "read 1/0 9 190 220 99999999999 43",
      "tail 1/0 5 230 records",
      "tail 1/0 5 230 gap 3",
      "tail 1/0 5 230 start 3 3.7",
      "chain 1/0 2 43 00112233445566778899aabbccddeef",
      "chain 1/0 2 43 0011223344556677-899aabbccddeeff",
      "log 1/0 2 2147483647 3.7",
      "watermark 1/0 4194304 1 1",
  };
  for (const std::string& line : wrong) {
    const Result<History> history = parse("lignum-history 1\n\n" + line + "\n");
    ASSERT_FALSE(history) << line;
    EXPECT_EQ(history.error().code(), Errc::kInvalidArgument);
    EXPECT_TRUE(history.error().message().starts_with("line 3: ")) << history.error().message();
  }
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("lignum-history 2\n"));
}

TEST(CheckCommand, JudgesAFile) {
  const std::string path = testing::TempDir() + "check_command_history";
  const auto run = [&](const std::vector<std::string>& arguments) {
    std::ostringstream out;
    std::ostringstream trouble;
    const int status = check_command(arguments, out, trouble);
    return std::to_string(status) + ":" + out.str() + trouble.str();
  };
  const auto write = [&](const std::string& lines) {
    std::ofstream(path) << "lignum-history 1\n" << lines;
  };
  write("append 1/0 3.7 1 100 180 ok 0 - none\nlog 1/0 1 0 3.7\n");
  EXPECT_EQ(run({path}),
            "0:checked 1 operations on 1 shards, whose logs hold 1 records: no violation\n");
  write("append 1/0 3.7 1 100 180 ok 0 - none\nlog 1/0 1 0\n");
  EXPECT_EQ(run({path}),
            "1:checked 1 operations on 1 shards, whose logs hold 0 records: 1 violations\n"
            "  lost 1\n"
            "lost: shard 1/0 at 0: the append of 3.7 [100, 180] was acknowledged here, where the "
            "final log has nothing: it ends at 0\n");
  write("nonsense\n");
  EXPECT_TRUE(run({path}).starts_with("2:jepsen: '" + path + "' is no history: line 2: "));
  EXPECT_TRUE(run({path + "-absent"}).starts_with("2:jepsen: cannot read"));
  EXPECT_TRUE(run({}).starts_with("2:usage"));
}

}  // namespace
}  // namespace lignum::jepsen
