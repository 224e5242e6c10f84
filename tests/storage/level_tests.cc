#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "storage/level.h"

namespace lignum {
namespace {

TEST(Level, EveryNumberHasAName) {
  std::string names;
  for (std::uint8_t number = 1; number <= 24; ++number) {
    names += std::string(level_name(*level_from_header(std::to_string(number)))) + " ";
  }
  EXPECT_EQ(names,
            "trace trace trace trace debug debug debug debug info notice notice notice warn warn "
            "warn warn error critical alert alert fatal fatal fatal fatal ");
}

TEST(Level, NamesAndAliasesInAnyCase) {
  EXPECT_EQ(level_from_name("WARN"), Level::kWarn);
  EXPECT_EQ(level_from_name("Warning"), Level::kWarn);
  EXPECT_EQ(level_from_name("err"), Level::kError);
  EXPECT_EQ(level_from_name("crit"), Level::kCritical);
  EXPECT_EQ(level_from_name("panic"), Level::kFatal);
  EXPECT_EQ(level_from_name("emerg"), Level::kFatal);
  EXPECT_EQ(level_from_name("warn "), std::nullopt);
  EXPECT_EQ(level_from_name(""), std::nullopt);
  EXPECT_EQ(level_from_name("loud"), std::nullopt);
}

TEST(Level, SyslogSeveritiesFall) {
  EXPECT_EQ(level_from_syslog(0), Level::kFatal);
  EXPECT_EQ(level_from_syslog(3), Level::kError);
  EXPECT_EQ(level_from_syslog(7), Level::kDebug);
  for (std::uint8_t severity = 1; severity < 8; ++severity) {
    EXPECT_LT(level_from_syslog(severity), level_from_syslog(severity - 1));
  }
}

TEST(Level, HeadersAreDecimalOneToTwentyFour) {
  for (int number = -1; number <= 30; ++number) {
    const auto level = level_from_header(std::to_string(number));
    ASSERT_EQ(level.has_value(), number >= 1 && number <= 24) << number;
    if (level) {
      ASSERT_EQ(static_cast<int>(*level), number);
    }
  }
  for (const std::string_view text : {"", "01", " 1", "1 ", "+1", "info", "1a", "017"}) {
    EXPECT_EQ(level_from_header(text), std::nullopt) << text;
  }
}

TEST(Level, FiltersAreThatLevelAndAboveOrARange) {
  const auto mask = [](unsigned low, unsigned high) {
    std::uint32_t result = 0;
    for (unsigned number = low; number <= high; ++number) {
      result |= 1U << number;
    }
    return result;
  };
  EXPECT_EQ(parse_level_filter("warn"), mask(13, 24));
  EXPECT_EQ(parse_level_filter("3"), mask(17, 24));
  EXPECT_EQ(parse_level_filter("info..error"), mask(9, 17));
  EXPECT_EQ(parse_level_filter("error..info"), mask(9, 17));
  EXPECT_EQ(parse_level_filter("6..4"), mask(9, 16));
  EXPECT_EQ(parse_level_filter("alert..alert"), mask(19, 20));
  EXPECT_EQ(parse_level_filter("trace"), mask(1, 24));
  EXPECT_EQ(*parse_level_filter("trace") & level_bit(std::nullopt), 0U);
  for (const std::string_view text : {"", "..", "info..", "..info", "8", "-1", "loud", "a..b..c"}) {
    const auto result = parse_level_filter(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code(), Errc::kInvalidArgument);
    EXPECT_NE(result.error().message().find("info..error"), std::string::npos);
  }
}

}  // namespace
}  // namespace lignum
