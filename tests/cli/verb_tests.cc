#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/bench.h"
#include "cli/cursor_file.h"
#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/record_input.h"
#include "cli/record_printer.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "tests/cli/fake_client.h"

namespace lignum::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class VerbTest : public testing::Test {
 protected:
  VerbTest() {
    std::string pattern = testing::TempDir() + "lignum-verbs-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~VerbTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string file(std::string_view text) {
    std::string path = directory_ + "/input" + std::to_string(files_++);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  struct Run {
    Outcome outcome;
    std::string out;
    std::string err;
  };
  // What the verb wrote to the two streams of the process, and how it ended.
  template <class Options>
  Run run(Outcome (*verb)(Session&, const Options&), const Options& options) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Outcome outcome = [&] {
      Terminal terminal(ColorChoice::kNever);
      Session session{
          .client = client_, .terminal = terminal, .global = global_, .interrupted = interrupted_};
      return verb(session, options);
    }();
    std::string out = testing::internal::GetCapturedStdout();
    std::string err = testing::internal::GetCapturedStderr();
    return {.outcome = std::move(outcome), .out = std::move(out), .err = std::move(err)};
  }

  Run append(std::string_view text, AppendOptions options = {}) {
    if (options.stream.empty()) options.stream = "app";
    options.files = {file(text)};
    return run(&run_append, options);
  }
  Run read(ReadOptions options) {
    if (options.streams.empty()) options.streams = {"app"};
    if (options.print.format == OutputFormat::kShort) options.print.format = OutputFormat::kCat;
    return run(&run_read, options);
  }

  FakeClient client_;
  GlobalOptions global_;
  std::atomic<bool> interrupted_{false};
  std::string directory_;
  int files_ = 0;
};

// ---------------------------------------------------------------- append

TEST_F(VerbTest, AppendSaysHowMany) {
  client_.make("app");
  const Run done = append("one\ntwo\nthree\n");
  EXPECT_EQ(done.outcome, ExitCode::kOk);
  EXPECT_EQ(done.err, "3 records appended to app\n");
  EXPECT_EQ(done.out, "");
  ASSERT_EQ(client_.streams.at("app").records.size(), 3U);
  EXPECT_THAT(client_.calls, Contains("flush"));
}

TEST_F(VerbTest, AppendPrintsAcksAndCopies) {
  client_.make("app");
  AppendOptions options;
  options.json_acks = true;
  EXPECT_EQ(
      append("x\n", options).out,
      "{\"stream\":\"app\",\"shard\":0,\"offset\":0,\"time\":\"2023-11-14T22:13:20.000001Z\"}\n");
  options.json_acks = false;
  options.tee = true;
  EXPECT_EQ(append("a\nb", options).out, "a\nb\n");
}

TEST_F(VerbTest, AppendToNoStreamSaysHowToMakeIt) {
  const Run done = append("x\n");
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(done.outcome.error().code(), Errc::kNotFound);
  EXPECT_THAT(done.outcome.error().message(), HasSubstr("logctl streams create app"));
  AppendOptions options;
  options.create = true;
  EXPECT_EQ(append("x\n", options).outcome, ExitCode::kOk);
  EXPECT_EQ(client_.streams.at("app").records.size(), 1U);
}

TEST_F(VerbTest, AppendNamesFailedAndUnknownRecords) {
  client_.make("app");
  client_.outcome = [](std::uint64_t append) -> std::optional<Error> {
    if (append == 1) return Error(Errc::kUnknownOutcome, "the deadline passed");
    return std::nullopt;
  };
  const Run done = append("one\ntwo\nthree\n");
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(exit_code(done.outcome.error().code()), ExitCode::kUnavailable);
  EXPECT_THAT(done.outcome.error().message(), HasSubstr("0 record(s) failed, 1 unknown"));
  EXPECT_THAT(done.err, HasSubstr("1 unknown"));
}

TEST_F(VerbTest, AppendNamesTheLineThatIsWrong) {
  client_.make("app");
  client_.refusal = [](const Record& record) -> std::optional<Error> {
    if (record.value.size() > 3) return Error(Errc::kTooLarge, "the record is too large");
    return std::nullopt;
  };
  const Run large = append("one\ntwo\nthree\n");
  ASSERT_FALSE(large.outcome);
  EXPECT_THAT(large.outcome.error().message(), HasSubstr("line 3: the record is too large"));
  EXPECT_THAT(large.err, HasSubstr("2 records appended to app\n"));
  AppendOptions options;
  options.input.format = InputFormat::kJson;
  const Run broken = append("{\"message\":\"a\"}\n{\n", options);
  ASSERT_FALSE(broken.outcome);
  EXPECT_THAT(broken.outcome.error().message(), HasSubstr("line 2: not JSON"));
  options.files = {directory_ + "/missing"};
  options.stream = "app";
  EXPECT_EQ(run(&run_append, options).outcome.error().code(), Errc::kIo);
}

// What stood before a bad line is on disk, and the message says how to go on.
TEST_F(VerbTest, AppendSaysHowToGoOnBehindABadLine) {
  client_.make("app");
  AppendOptions options;
  options.stream = "app";
  options.input.format = InputFormat::kJson;
  const std::string good = file("{\"message\":\"a\"}\n{\"message\":\"b\"}\n");
  const std::string bad = file("{\"message\":\"c\"}\n{\"x\":1,\"x\":2}\n{\"message\":\"d\"}\n");
  options.files = {good, bad, good, "last"};
  const Run done = run(&run_append, options);
  ASSERT_FALSE(done.outcome);
  EXPECT_EQ(exit_code(done.outcome.error().code()), ExitCode::kUsage);
  EXPECT_THAT(done.outcome.error().message(),
              HasSubstr(bad + ": line 2: an object has the member 'x' more than once"));
  EXPECT_THAT(done.outcome.error().message(),
              HasSubstr("the 3 records before it are appended. Correct it and append the rest: "
                        "tail -n +2 '" +
                        bad + "' | logctl append app"));
  EXPECT_THAT(done.outcome.error().message(),
              HasSubstr("then the files behind it: '" + good + "' 'last'"));
  EXPECT_EQ(client_.streams.at("app").records.size(), 3U);
  EXPECT_THAT(client_.calls, Contains("flush"));
}

TEST_F(VerbTest, AppendSaysWhatToDoWhereTheFirstItemIsBad) {
  client_.make("app");
  AppendOptions options;
  options.input.syslog = true;
  const Run first = append("no priority\n<11>x\n", options);
  ASSERT_FALSE(first.outcome);
  EXPECT_THAT(first.outcome.error().message(),
              HasSubstr("line 1: no syslog priority <0>..<191> at its beginning; nothing is "
                        "appended. Correct it and append it again"));
  options.input.syslog = false;
  options.input.format = InputFormat::kNull;
  client_.refusal = [](const Record& record) -> std::optional<Error> {
    if (record.value.empty()) return Error(Errc::kTooLarge, "no");
    return std::nullopt;
  };
  const Run items = append(std::string_view("a\0\0", 3), options);
  ASSERT_FALSE(items.outcome);
  EXPECT_THAT(items.outcome.error().message(), HasSubstr("item 2: no; the 1 record before it is"));
  EXPECT_THAT(items.outcome.error().message(), HasSubstr("tail -z -n +2 '"));
}

// "The rest" would be wrong where something before it is missing.
TEST_F(VerbTest, AppendClaimsNothingOfRecordsThatFailedBeforeABadLine) {
  client_.make("app");
  client_.answers_at_flush = true;
  client_.outcome = [](std::uint64_t append) -> std::optional<Error> {
    if (append == 1) return Error(Errc::kUnknownOutcome, "the deadline passed");
    return std::nullopt;
  };
  AppendOptions options;
  options.input.syslog = true;
  const Run done = append("<11>a\n<11>b\n<11>c\nd\n", options);
  ASSERT_FALSE(done.outcome);
  EXPECT_THAT(done.outcome.error().message(),
              HasSubstr("line 4: no syslog priority <0>..<191> at its beginning; of the records "
                        "before it 2 are appended, 0 failed and 1 are unknown (the deadline "
                        "passed)"));
}

TEST_F(VerbTest, AppendOfOneBatchNamesTheLineToo) {
  client_.make("app");
  AppendOptions options;
  options.stream = "app/0";
  options.expected_offset = 0;
  options.input.format = InputFormat::kJson;
  const Run done = append("{\"message\":\"a\"}\n[1]\n", options);
  ASSERT_FALSE(done.outcome);
  EXPECT_THAT(done.outcome.error().message(),
              HasSubstr("line 2: not a JSON object; nothing is appended"));
  EXPECT_EQ(client_.streams.at("app").records.size(), 0U);
}

TEST_F(VerbTest, AppendWithAnExpectedOffsetIsOneBatchOrNothing) {
  client_.make("app", 2);
  AppendOptions options;
  options.stream = "app/1";
  options.expected_offset = 0;
  EXPECT_EQ(append("a\nb\n", options).outcome, ExitCode::kOk);
  const Run again = append("c\n", options);
  ASSERT_FALSE(again.outcome);
  EXPECT_EQ(exit_code(again.outcome.error().code()), ExitCode::kConflict);
  options.stream = "app";
  EXPECT_EQ(append("c\n", options).outcome.error().code(), Errc::kInvalidArgument);
  options.stream = "app/1";
  options.expected_offset.reset();
  EXPECT_EQ(append("c\n", options).outcome.error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(client_.streams.at("app").records.size(), 2U);
}

// ---------------------------------------------------------------- read and tail

TEST_F(VerbTest, ReadShowsEverythingInOrder) {
  client_.make("app");
  append("one\ntwo\nthree\n");
  ReadOptions options;
  options.start.kind = TailStart::Kind::kEarliest;
  EXPECT_EQ(read(options).out, "one\ntwo\nthree\n");
  options.count_max = 2;
  EXPECT_EQ(read(options).out, "one\ntwo\n");
  options.count_max = 0;
  EXPECT_EQ(read(options).out, "");
  options.count_max.reset();
  options.grep = "t";
  options.exclude = "three";
  EXPECT_EQ(read(options).out, "two\n");
}

TEST_F(VerbTest, TheLastOfWhatPassesTheFilterIsShown) {
  client_.make("app");
  append("a1\nb1\na2\nb2\na3\n");
  ReadOptions options;
  options.start = {.kind = TailStart::Kind::kLast, .count = 2};
  EXPECT_EQ(read(options).out, "b2\na3\n");
  options.grep = "a";
  EXPECT_EQ(read(options).out, "a2\na3\n");
}

TEST_F(VerbTest, OffsetsOfOneShardBoundAReadAndItsCursor) {
  client_.make("app");
  append("0\n1\n2\n3\n4\n");
  ReadOptions options;
  options.streams = {"app/0"};
  options.start = {.kind = TailStart::Kind::kOffset, .offset = Offset(1)};
  options.to_offset = 3;
  options.cursor_file = directory_ + "/cursor";
  EXPECT_EQ(read(options).out, "1\n2\n");
  // Two records were taken, not the third that would have shown the end.
  EXPECT_EQ(*load_cursor(*options.cursor_file), "v1:1:0=2");
}

TEST_F(VerbTest, ACursorFileGoesOnWhereItStopped) {
  client_.make("app");
  append("one\n");
  ReadOptions options;
  options.start.kind = TailStart::Kind::kEarliest;
  options.cursor_file = directory_ + "/cursor";
  options.show_cursor = true;
  const Run first = read(options);
  EXPECT_EQ(first.out, "one\n");
  EXPECT_THAT(first.err, HasSubstr("cursor: v1:1:0=1"));
  read(options);
  EXPECT_THAT(client_.calls, Contains("cursor v1:1:0=1"));
}

TEST_F(VerbTest, ACursorFileThatCannotBeKeptStopsATailBeforeItStarts) {
  client_.make("app");
  append("one\n");
  ReadOptions options;
  options.start.kind = TailStart::Kind::kEarliest;
  options.cursor_file = directory_ + "/nowhere/cursor";
  const Run nowhere = read(options);
  ASSERT_FALSE(nowhere.outcome);
  EXPECT_EQ(exit_code(nowhere.outcome.error().code()), ExitCode::kLocal);
  EXPECT_EQ(nowhere.out, "");
  EXPECT_THAT(nowhere.outcome.error().message(), HasSubstr(*options.cursor_file));
  options.cursor_file = file("v1:1:0=");
  const Run damaged = read(options);
  ASSERT_FALSE(damaged.outcome);
  EXPECT_EQ(exit_code(damaged.outcome.error().code()), ExitCode::kLocal);
  EXPECT_EQ(damaged.out, "");
}

TEST_F(VerbTest, PatternsNameStreams) {
  client_.make("app-a");
  client_.make("app-b");
  client_.make("web");
  append("a\n", {.stream = "app-a"});
  append("w\n", {.stream = "web"});
  append("b\n", {.stream = "app-b"});
  ReadOptions options;
  options.streams = {"app-*"};
  options.start.kind = TailStart::Kind::kEarliest;
  EXPECT_EQ(read(options).out, "a\nb\n");
  options.streams = {"nothing-*"};
  EXPECT_EQ(read(options).outcome.error().code(), Errc::kNotFound);
  options.streams = {"missing"};
  EXPECT_THAT(read(options).outcome.error().message(), HasSubstr("logctl streams ls"));
}

TEST_F(VerbTest, GapsAndStallsAreToldOnStandardError) {
  client_.make("app");
  append("x\n");
  client_.gaps = {{.stream = "app",
                   .shard = ShardNumber(0),
                   .from = Offset(0),
                   .to = Offset(10),
                   .reason = Errc::kTrimmed}};
  client_.stalled = Error(Errc::kSkew, "node 2 is behind");
  ReadOptions options;
  options.start.kind = TailStart::Kind::kEarliest;
  options.skip_gaps = true;
  const Run done = read(options);
  EXPECT_EQ(done.out, "x\n");
  EXPECT_THAT(done.err, HasSubstr("10 records of app/0 are gone (0 to 9): trimmed"));
  EXPECT_THAT(done.err, HasSubstr("node 2 is behind"));
}

TEST_F(VerbTest, AnInterruptedTailEndsWith130) {
  client_.make("app");
  interrupted_ = true;
  ReadOptions options;
  options.follow = true;
  EXPECT_EQ(read(options).outcome, ExitCode::kInterrupted);
}

// ---------------------------------------------------------------- streams, stat

TEST_F(VerbTest, StreamsAreMadeAndListed) {
  StreamsCreateOptions create;
  create.stream = "app";
  create.settings.shards = 2;
  EXPECT_EQ(run(&run_streams_create, create).err, "stream app: 2 shards, kept 7d\n");
  EXPECT_EQ(exit_code(run(&run_streams_create, create).outcome.error().code()),
            ExitCode::kConflict);
  EXPECT_THAT(run(&run_streams_list, {.format = ListFormat::kJson}).out,
              HasSubstr("\"name\":\"app\",\"id\":1,\"shards\":2,\"retention_ms\":604800000"));
  EXPECT_THAT(run(&run_streams_list, {}).out, HasSubstr("app     2       7d"));
  EXPECT_THAT(run(&run_streams_describe, {.stream = "app"}).out, HasSubstr("SHARD  GROUP"));
  EXPECT_THAT(run(&run_streams_describe, {.stream = "app", .format = ListFormat::kJson}).out,
              HasSubstr("\"start\":0,\"next\":0"));
}

TEST_F(VerbTest, NothingIsDestroyedUnasked) {
  client_.make("app");
  append("0\n1\n2\n3\n");
  client_.calls.clear();
  // Standard input of a test is no terminal.
  const Run unasked = run(&run_streams_delete, {.stream = "app"});
  ASSERT_FALSE(unasked.outcome);
  EXPECT_THAT(unasked.outcome.error().message(), HasSubstr("--yes"));
  EXPECT_EQ(run(&run_streams_delete, {.stream = "app", .yes = true, .dry_run = true}).outcome,
            ExitCode::kOk);
  EXPECT_FALSE(run(&run_streams_trim, {.stream = "app/0", .before = 3}).outcome);
  EXPECT_FALSE(run(&run_streams_trim, {.stream = "app", .before = 3, .yes = true}).outcome);
  EXPECT_THAT(client_.calls, IsEmpty());
  EXPECT_TRUE(run(&run_streams_trim, {.stream = "app/0", .before = 3, .yes = true}).outcome);
  EXPECT_TRUE(run(&run_streams_delete, {.stream = "app", .yes = true}).outcome);
  EXPECT_THAT(client_.calls, ElementsAre("trim app/0 3", "delete app"));
  EXPECT_EQ(run(&run_streams_delete, {.stream = "app", .yes = true}).outcome.error().code(),
            Errc::kNotFound);
}

TEST_F(VerbTest, ATrimSaysWhatGoes) {
  client_.make("app");
  append("0\n1\n2\n3\n4\n");
  client_.calls.clear();
  const auto dry = [&](std::uint64_t before) {
    return run(&run_streams_trim, {.stream = "app/0", .before = before, .dry_run = true}).err;
  };
  EXPECT_EQ(dry(1), "Trimming app/0 deletes 1 record (offset 0) for good (not done: --dry-run)\n");
  EXPECT_EQ(dry(4),
            "Trimming app/0 deletes 4 records (offsets 0 to 3) for good (not done: --dry-run)\n");
  EXPECT_EQ(
      dry(5),
      "Trimming app/0 deletes all its 5 records (offsets 0 to 4) for good (not done: --dry-run)\n");
  const Run unasked = run(&run_streams_trim, {.stream = "app/0", .before = 3});
  ASSERT_FALSE(unasked.outcome);
  EXPECT_THAT(unasked.outcome.error().message(), HasSubstr("3 records (offsets 0 to 2)"));
  EXPECT_THAT(client_.calls, IsEmpty());
}

// A digit too many would delete everything.
TEST_F(VerbTest, ATrimAboveTheEndIsRefused) {
  client_.make("app");
  append("0\n1\n2\n3\n4\n");
  client_.calls.clear();
  for (const bool dry_run : {false, true}) {
    const Run above =
        run(&run_streams_trim, {.stream = "app/0", .before = 6, .yes = true, .dry_run = dry_run});
    ASSERT_FALSE(above.outcome);
    EXPECT_EQ(exit_code(above.outcome.error().code()), ExitCode::kConflict);
    EXPECT_EQ(above.outcome.error().message(),
              "--before: offset 6 lies above the end of app/0, 5; nothing is deleted. --before 5 "
              "deletes everything");
  }
  EXPECT_THAT(client_.calls, IsEmpty());
  EXPECT_EQ(run(&run_streams_trim, {.stream = "app/0", .before = 5, .yes = true}).outcome,
            ExitCode::kOk);
  EXPECT_THAT(client_.calls, ElementsAre("trim app/0 5"));
}

TEST_F(VerbTest, ATrimBelowTheStartHasNothingToDo) {
  auto& stream = client_.make("app");
  stream.description.shards[0].start = Offset(9);
  stream.description.shards[0].next = Offset(12);
  for (const std::uint64_t before : {0U, 9U}) {
    const Run below = run(&run_streams_trim, {.stream = "app/0", .before = before, .yes = true});
    EXPECT_EQ(below.outcome, ExitCode::kOk);
    EXPECT_EQ(below.err, "nothing to trim: app/0 begins at offset 9\n");
  }
  EXPECT_THAT(client_.calls, IsEmpty());
}

TEST_F(VerbTest, ATrimOfAShardThatIsNotThereNamesTheStream) {
  client_.make("app", 2);
  const Run missing = run(&run_streams_trim, {.stream = "app/7", .before = 1, .yes = true});
  ASSERT_FALSE(missing.outcome);
  EXPECT_EQ(missing.outcome.error().code(), Errc::kNotFound);
  EXPECT_THAT(missing.outcome.error().message(), HasSubstr("stream app has no shard 7"));
  client_.streams.at("app").description.shards[1].unavailable = Error(Errc::kUnavailable, "gone");
  EXPECT_EQ(run(&run_streams_trim, {.stream = "app/1", .before = 1, .yes = true}).outcome.error(),
            Error(Errc::kUnavailable, "gone"));
}

TEST_F(VerbTest, StatIsUnhealthyWhereSomethingIs) {
  client_.node.groups.push_back({.group = GroupId(1), .role = "leader"});
  EXPECT_EQ(run(&run_stat, {}).outcome, ExitCode::kOk);
  client_.node.disk_full = true;
  const Run full = run(&run_stat, {});
  EXPECT_EQ(full.outcome, ExitCode::kUnhealthy);
  EXPECT_THAT(full.out, HasSubstr("DISK FULL"));
  client_.node.disk_full = false;
  client_.node.groups[0].damage = "segment 3: bad frame at 4096";
  EXPECT_EQ(run(&run_stat, {.format = ListFormat::kJson}).outcome, ExitCode::kUnhealthy);
}

TEST_F(VerbTest, LogLevelTellsTheOldOne) {
  EXPECT_EQ(run(&run_log_level, {.level = "debug"}).err, "log level is debug (was info)\n");
  EXPECT_EQ(client_.log_level, "debug");
}

TEST_F(VerbTest, BenchAppendMeasuresVerifiesAndCleansUp) {
  client_.node.groups = {{.group = GroupId(0)}, {.group = GroupId(1)}, {.group = GroupId(2)}};
  client_.node.data_directory = directory_ + "/data";
  Terminal terminal(ColorChoice::kNever);
  terminal.set_quiet();
  BenchAppendOptions options;
  options.matrix.groups = {2};
  options.matrix.in_flight = {4};
  options.matrix.duration = std::chrono::milliseconds(30);
  options.matrix.warmup = std::chrono::milliseconds(1);
  options.matrix.repeat = 2;
  options.matrix.format = ListFormat::kJson;
  options.limit = false;
  options.verify = true;
  testing::internal::CaptureStdout();
  const auto outcome = run_bench_append(client_, terminal, "127.0.0.1:7400", options, interrupted_);
  const std::string out = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_THAT(out, HasSubstr("\"groups\":2"));
  EXPECT_THAT(out, HasSubstr("\"broken\":0"));
  EXPECT_TRUE(client_.streams.empty());
}

TEST_F(VerbTest, BenchAppendWarnsOfALimitOnAnotherDisk) {
  client_.node.groups = {{.group = GroupId(0)}, {.group = GroupId(1)}};
  client_.node.data_directory = "elsewhere/data";
  Terminal terminal(ColorChoice::kNever);
  terminal.set_quiet();
  BenchAppendOptions options;
  options.matrix.groups = {1};
  options.matrix.in_flight = {1};
  options.matrix.duration = std::chrono::milliseconds(10);
  options.matrix.warmup = std::chrono::milliseconds(1);
  options.matrix.repeat = 1;
  const auto warning = [&](const std::string& data, std::optional<std::string> direct_dir) {
    client_.node.data_directory = data;
    options.direct_dir = std::move(direct_dir);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto outcome =
        run_bench_append(client_, terminal, "127.0.0.1:7400", options, interrupted_);
    testing::internal::GetCapturedStdout();
    EXPECT_TRUE(outcome) << outcome.error().message();
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warning("elsewhere/data", std::nullopt),
              testing::AllOf(HasSubstr("two disks"), HasSubstr("--direct-dir")));
  EXPECT_EQ(warning("elsewhere/data", directory_), "");
  EXPECT_EQ(warning(directory_ + "/data", std::nullopt), "");
}

TEST_F(VerbTest, BenchReadCountsValues) {
  client_.make("app");
  append("12345\n12345\n");
  Terminal terminal(ColorChoice::kNever);
  testing::internal::CaptureStdout();
  const auto outcome = run_bench_read(
      client_, terminal, {.stream = "app", .repeat = 2, .format = ListFormat::kJson}, interrupted_);
  EXPECT_EQ(outcome, ExitCode::kOk);
  terminal.flush();
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("\"records\":2,\"bytes\":10"));
}

}  // namespace
}  // namespace lignum::cli
