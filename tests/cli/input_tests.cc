#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/record_input.h"
#include "net/client.h"
#include "raft/error.h"
#include "storage/level.h"

namespace lignum::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::string> fields_of(const Record& record) {
  std::vector<std::string> fields;
  for (const Field& field : record.fields) fields.push_back(field.name + "=" + field.value);
  return fields;
}

// Hands out `text` in pieces of `step` bytes.
std::vector<std::string> cut(std::string_view text, InputFormat format, std::size_t step) {
  std::size_t at = 0;
  ItemReader reader(
      [&](char* buffer, std::size_t bytes) -> Result<std::size_t> {
        const std::size_t count = std::min({bytes, step, text.size() - at});
        std::memcpy(buffer, text.data() + at, count);
        at += count;
        return count;
      },
      format);
  std::vector<std::string> items;
  while (true) {
    const auto item = reader.next();
    if (!item || !*item) return items;
    items.emplace_back(**item);
    EXPECT_EQ(reader.number(), items.size());
  }
}

TEST(ItemReader, CutsWhereverTheReadsEnd) {
  for (const std::size_t step : {1U, 2U, 3U, 7U, 100U}) {
    EXPECT_THAT(cut("one\n\ntwo\nlast", InputFormat::kLines, step),
                ElementsAre("one", "", "two", "last"));
    EXPECT_THAT(cut("one\n", InputFormat::kLines, step), ElementsAre("one"));
    EXPECT_THAT(cut("", InputFormat::kLines, step), ElementsAre());
    EXPECT_THAT(cut(std::string_view("a\nb\0c\0", 6), InputFormat::kNull, step),
                ElementsAre("a\nb", "c"));
  }
}

TEST(ItemReader, RefusesAnItemWithoutEnd) {
  ItemReader reader(
      [](char* buffer, std::size_t bytes) -> Result<std::size_t> {
        std::memset(buffer, 'x', bytes);
        return bytes;
      },
      InputFormat::kLines);
  const auto item = reader.next();
  ASSERT_FALSE(item);
  EXPECT_EQ(item.error().code(), Errc::kTooLarge);
}

TEST(ItemReader, PassesErrorsOn) {
  ItemReader reader(
      [](char*, std::size_t) -> Result<std::size_t> { return fail(Errc::kIo, "gone"); },
      InputFormat::kLines);
  EXPECT_EQ(reader.next().error().code(), Errc::kIo);
}

TEST(ParseRecord, LinesTakeWhatWasGivenAndGuessNothing) {
  InputOptions options;
  options.fields = {{.name = "host", .value = "web1"}};
  options.key = "k";
  const auto record = parse_record("ERROR: it broke", options);
  ASSERT_TRUE(record);
  EXPECT_EQ(text_of(record->value), "ERROR: it broke");
  EXPECT_EQ(record->level, std::nullopt);
  EXPECT_EQ(text_of(*record->key), "k");
  EXPECT_THAT(fields_of(*record), ElementsAre("host=web1"));
}

TEST(ParseRecord, JsonMembersBecomeWhatTheyAre) {
  InputOptions options{.format = InputFormat::kJson};
  options.key_field = "user";
  const auto record = parse_record(
      R"({"time":"2023-11-14T22:13:20Z","level":"warn","message":"hot","user":"u1","n":3,)"
      R"("nested":{"a":[1]}})",
      options);
  ASSERT_TRUE(record) << record.error().message();
  EXPECT_EQ(record->time, 1'700'000'000'000);
  EXPECT_EQ(record->level, Level::kWarn);
  EXPECT_EQ(text_of(record->value), "hot");
  EXPECT_EQ(text_of(*record->key), "u1");
  EXPECT_THAT(fields_of(*record), ElementsAre("user=u1", "n=3", R"(nested={"a":[1]})"));
}

TEST(ParseRecord, JsonFieldNamesAreTheCallersChoice) {
  InputOptions options{.format = InputFormat::kJson};
  options.level_field = "severity";
  options.time_field = "ts";
  options.message_field = "text";
  const auto record =
      parse_record(R"({"ts":1700000000.5,"severity":17,"text":"x","level":"kept"})", options);
  ASSERT_TRUE(record) << record.error().message();
  EXPECT_EQ(record->time, 1'700'000'000'500);
  EXPECT_EQ(record->level, Level::kError);
  EXPECT_THAT(fields_of(*record), ElementsAre("level_=kept"));
}

TEST(ParseRecord, JsonWithoutMessageIsItsOwnMessage) {
  const auto record = parse_record(R"({"a":1})", {.format = InputFormat::kJson});
  ASSERT_TRUE(record);
  EXPECT_EQ(text_of(record->value), R"({"a":1})");
}

TEST(ParseRecord, JsonSaysWhatIsWrong) {
  const InputOptions options{.format = InputFormat::kJson};
  for (const std::string_view line :
       {"", "{", "[1]", "null", R"({"level":"loud"})", R"({"level":25})", R"({"time":"soon"})"}) {
    const auto record = parse_record(line, options);
    ASSERT_FALSE(record) << line;
    EXPECT_EQ(record.error().code(), Errc::kInvalidArgument);
  }
  EXPECT_THAT(parse_record(R"({"level":"loud"})", options).error().message(), HasSubstr("loud"));
}

// RFC 8259 leaves open what two members of one name mean; keeping one would lose the other.
TEST(ParseRecord, JsonNamesThatComeTwiceAreRefused) {
  const InputOptions options{.format = InputFormat::kJson};
  for (const auto& [line, name] : std::vector<std::pair<std::string_view, std::string_view>>{
           {R"({"a":1,"a":2})", "'a'"},
           {R"({"a":1,"a":1})", "'a'"},
           {R"({"message":"x","b":[{"c":1},{"d":{"e":1,"e":2}}]})", "'e'"},
           {R"({"n\u0061me":1 , "name" : 2})", "'name'"},
           {R"({"\"":1,"x":"}","\"":2})", "'\"'"},
           {R"({"":1,"":2})", "''"},
           {R"({"level":"info","level":"warn"})", "'level'"}}) {
    const auto record = parse_record(line, options);
    ASSERT_FALSE(record) << line;
    EXPECT_EQ(record.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(record.error().message(), HasSubstr("member " + std::string(name)));
  }
  for (const std::string_view line :
       {R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"c":"a"})", R"({"a":"a","b":"\":{","c":"\\"})",
        R"({"a":"b","c":["a","b","a"]})"}) {
    const auto record = parse_record(line, options);
    EXPECT_TRUE(record) << line << ": " << record.error().message();
  }
}

TEST(ParseRecord, JsonKeepsMsgBesideAMessage) {
  const InputOptions options{.format = InputFormat::kJson};
  for (const std::string_view line :
       {R"({"msg":"one","message":"two"})", R"({"message":"two","msg":"one"})"}) {
    const auto record = parse_record(line, options);
    ASSERT_TRUE(record);
    EXPECT_EQ(text_of(record->value), "two");
    EXPECT_THAT(fields_of(*record), ElementsAre("msg=one"));
  }
}

// "5m" in a log line is no point in time; nor does it matter when the line is read.
TEST(ParseRecord, JsonTimesAreNotRelative) {
  const InputOptions options{.format = InputFormat::kJson};
  for (const std::string_view text : {"5m", "now", "today", "yesterday", "2026-02-30T00:00:00Z"}) {
    EXPECT_FALSE(parse_record("{\"time\":\"" + std::string(text) + "\"}", options)) << text;
  }
}

TEST(ParseRecord, SyslogPriorityIsLevelAndFacility) {
  const InputOptions options{.syslog = true};
  const auto record = parse_record("<11>disk is hot", options);
  ASSERT_TRUE(record);
  EXPECT_EQ(text_of(record->value), "disk is hot");
  EXPECT_EQ(record->level, Level::kError);
  EXPECT_THAT(fields_of(*record), ElementsAre("facility=1"));
  for (const std::string_view line : {"disk", "<192>x", "<>x", "<1", "<-1>x", "<1 >x"}) {
    EXPECT_FALSE(parse_record(line, options)) << line;
  }
}

}  // namespace
}  // namespace lignum::cli
