#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <string_view>

#include "cli/exit_code.h"
#include "cli/quantity_text.h"
#include "cli/shard_name.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

// 2023-11-14T22:13:20Z
constexpr TimeUs kNow = 1'700'000'000'000'000;
constexpr TimeUs kSecond = 1'000'000;

// A zone east of Greenwich without daylight saving, so that local and UTC days differ.
class LocalTime : public testing::Test {
 protected:
  LocalTime() {
    ::setenv("TZ", "XST-5:30", 1);
    ::tzset();
  }
  ~LocalTime() override {
    ::unsetenv("TZ");
    ::tzset();
  }
};

TEST(SizeText, TakesBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_EQ(parse_size("100B"), 100U);
  EXPECT_EQ(parse_size("64KiB"), 65536U);
  EXPECT_EQ(parse_size("1.5MiB"), 1572864U);
  EXPECT_EQ(parse_size("2GiB"), 2147483648U);
  EXPECT_EQ(parse_size("1kB"), 1000U);
  EXPECT_EQ(parse_size("1KB"), 1000U);
  EXPECT_EQ(parse_size("5MB"), 5000000U);
  EXPECT_EQ(parse_size("1TB"), 1000000000000U);
}

TEST(SizeText, RefusesWhatIsNoSizeAndSaysHowOneLooks) {
  for (const std::string_view text :
       {"", "x", "-1", "12 KiB", "1KIB", "1 ", "KiB", "nan", "inf", "99999999TiB", "0x10"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(size.error().message(), HasSubstr("64KiB"));
  }
}

TEST(DurationText, IsGoStyle) {
  EXPECT_EQ(parse_duration("0s"), microseconds(0));
  EXPECT_EQ(parse_duration("300ms"), milliseconds(300));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("5m"), minutes(5));
  EXPECT_EQ(parse_duration("2h30m"), minutes(150));
  EXPECT_EQ(parse_duration("7d"), hours(168));
  EXPECT_EQ(parse_duration("2w"), hours(336));
  EXPECT_EQ(parse_duration("10us"), microseconds(10));
  EXPECT_EQ(parse_duration("1h0m1s"), hours(1) + seconds(1));
}

TEST(DurationText, RefusesNumbersWithoutUnit) {
  for (const std::string_view text : {"", "5", "m", "5 m", "-5m", "5x", "1h2", "1e3s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(TimeText, TakesRfc3339) {
  EXPECT_EQ(parse_time("2023-11-14T22:13:20Z", 0), kNow);
  EXPECT_EQ(parse_time("2023-11-14T22:13:20.5Z", 0), kNow + kSecond / 2);
  EXPECT_EQ(parse_time("2023-11-14T22:13:20.000001Z", 0), kNow + 1);
  EXPECT_EQ(parse_time("2023-11-15T00:13:20+02:00", 0), kNow);
  EXPECT_EQ(parse_time("2023-11-14T16:43:20-05:30", 0), kNow);
  EXPECT_EQ(parse_time("1969-12-31T23:59:59Z", 0), -kSecond);
}

TEST(TimeText, TakesEpochSecondsAndTimesAgo) {
  EXPECT_EQ(parse_time("@1700000000", 0), kNow);
  EXPECT_EQ(parse_time("@1700000000.25", 0), kNow + kSecond / 4);
  EXPECT_EQ(parse_time("5m", kNow), kNow - 300 * kSecond);
  EXPECT_EQ(parse_time("2h", kNow), kNow - 7200 * kSecond);
  EXPECT_EQ(parse_time("1000000h", kNow), 0);
  EXPECT_FALSE(parse_time("@253402300800", kNow));
  EXPECT_EQ(parse_time("now", kNow), kNow);
}

TEST_F(LocalTime, BareTimesAreLocal) {
  EXPECT_EQ(parse_time("2023-11-15 03:43:20", 0), kNow);
  EXPECT_EQ(parse_time("2023-11-15 03:43", 0), kNow - 20 * kSecond);
  EXPECT_EQ(parse_time("2023-11-15", 0), parse_time("2023-11-14T18:30:00Z", 0));
  EXPECT_EQ(parse_time("today", kNow), parse_time("2023-11-15", 0));
  EXPECT_EQ(parse_time("yesterday", kNow), parse_time("2023-11-14", 0));
  EXPECT_EQ(rfc3339(kNow, Zone::kLocal), "2023-11-15T03:43:20.000000+05:30");
  EXPECT_EQ(short_time(kNow, Zone::kLocal), "Nov 15 03:43:20.000");
}

TEST(TimeText, RefusesWhatIsNoTime) {
  for (const std::string_view text :
       {"", "soon", "2023-13-01", "2023-11-14T22:13:20Zx", "2023-11-14T22:13:20+2", "@", "@x",
        "2023-11-14 22", "10:00", "20231114"}) {
    const auto time = parse_time(text, kNow);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(time.error().message(), HasSubstr("yesterday"));
  }
}

TEST(TimeText, RefusesWhatTheCalendarDoesNotHave) {
  for (const std::string_view text :
       {"2026-02-30", "2026-02-29", "2025-02-29", "1900-02-29", "2026-04-31", "2026-06-31 10:00",
        "2026-02-30T10:00:00Z", "2026-02-30T10:00:00+02:00", "2026-01-01T00:00:61Z"}) {
    const auto time = parse_time(text, kNow);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(time.error().message(), HasSubstr("calendar")) << text;
  }
  for (const std::string_view text :
       {"2026-13-01", "2026-00-01", "2026-01-00", "2026-01-32", "2026-01-01T25:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T10:60:00Z", "2026-01-01T10:00:00+24:00",
        "2026-01-01T10:00:00+01:60"}) {
    EXPECT_FALSE(parse_time(text, kNow)) << text;
  }
  EXPECT_TRUE(parse_time("2024-02-29", kNow));
  EXPECT_TRUE(parse_time("2000-02-29T23:59:59Z", kNow));
  // A leap second is the second before the next.
  EXPECT_EQ(parse_time("2016-12-31T23:59:60Z", 0), parse_time("2017-01-01T00:00:00Z", 0));
}

TEST(TimeText, PrintsWhatItReads) {
  EXPECT_EQ(rfc3339(kNow + 123456, Zone::kUtc), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(rfc3339(-1, Zone::kUtc), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(short_time(kNow + 7000, Zone::kUtc), "Nov 14 22:13:20.007");
  for (const TimeUs time : {kNow, kNow + 1, TimeUs{0}, TimeUs{-123456789}}) {
    EXPECT_EQ(parse_time(rfc3339(time, Zone::kUtc), 0), time);
  }
}

TEST(QuantityText, IsShortForPeople) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(std::uint64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(human_duration(hours(168)), "7d");
  EXPECT_EQ(human_duration(minutes(150)), "2h30m");
  EXPECT_EQ(human_duration(milliseconds(350)), "350ms");
  EXPECT_EQ(human_duration(milliseconds(0)), "0s");
  EXPECT_EQ(human_duration(milliseconds(-1)), "for ever");
}

TEST(ShardName, SplitsAtTheSlash) {
  const auto whole = parse_shard_name("app");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->stream, "app");
  EXPECT_FALSE(whole->shard);
  const auto shard = parse_shard_name("app/12");
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->shard, ShardNumber(12));
  for (const std::string_view text : {"app/", "app/x", "app/-1", "app/1/2", "app/99999999999"}) {
    EXPECT_FALSE(parse_shard_name(text)) << text;
  }
}

TEST(Visible, ShowsWhatWouldSteerATerminal) {
  EXPECT_EQ(visible("plain \xC3\xA9 \xF0\x9F\x98\x80\ttab"),
            "plain \xC3\xA9 \xF0\x9F\x98\x80\ttab");
  EXPECT_EQ(visible("\x1b[2Jx"), "\\x1b[2Jx");
  EXPECT_EQ(visible(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(visible("\x7f"), "\\x7f");
  // C1 control, encoded; a lone continuation byte; an overlong form; a surrogate; cut short.
  EXPECT_EQ(visible("\xC2\x9B"), "\\xc2\\x9b");
  EXPECT_EQ(visible("\x80"), "\\x80");
  EXPECT_EQ(visible("\xC0\xAF"), "\\xc0\\xaf");
  EXPECT_EQ(visible("\xED\xA0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(visible("\xE2\x82"), "\\xe2\\x82");
  EXPECT_TRUE(is_utf8("\xE2\x82\xAC"));
  EXPECT_FALSE(is_utf8("\xE2\x82"));
}

TEST(Table, AlignsColumns) {
  Table table({"A", "LONG", "END"});
  table.add({"wide one", "x", "the last may be very long"});
  table.add({"b"});
  EXPECT_EQ(table.text(),
            "A         LONG  END\n"
            "wide one  x     the last may be very long\n"
            "b\n");
}

// docs/cli.md lists these for scripts: they do not change.
TEST(ExitCode, IsStable) {
  EXPECT_EQ(exit_code(Errc::kInvalidArgument), ExitCode::kUsage);
  EXPECT_EQ(exit_code(Errc::kNotFound), ExitCode::kNotFound);
  EXPECT_EQ(exit_code(Errc::kPermissionDenied), ExitCode::kPermission);
  EXPECT_EQ(exit_code(Errc::kUnavailable), ExitCode::kUnavailable);
  EXPECT_EQ(exit_code(Errc::kTimeout), ExitCode::kUnavailable);
  EXPECT_EQ(exit_code(Errc::kUnknownOutcome), ExitCode::kUnavailable);
  EXPECT_EQ(exit_code(Errc::kOffsetMismatch), ExitCode::kConflict);
  EXPECT_EQ(exit_code(Errc::kAlreadyExists), ExitCode::kConflict);
  EXPECT_EQ(exit_code(Errc::kCorrupt), ExitCode::kLocal);
  EXPECT_EQ(exit_code(Errc::kIo), ExitCode::kLocal);
  EXPECT_EQ(exit_code(Errc::kInternal), ExitCode::kFailed);
  EXPECT_EQ(exit_code(Errc::kCancelled), ExitCode::kInterrupted);
}

}  // namespace
}  // namespace lignum::cli
