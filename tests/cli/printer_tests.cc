#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/record_filter.h"
#include "cli/record_printer.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum::cli {
namespace {

using testing::HasSubstr;

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

class Printer : public testing::Test {
 protected:
  [[nodiscard]] ReadRecord record(std::string_view value) const {
    return {.stream = "app",
            .stream_id = StreamId(7),
            .shard = ShardNumber(2),
            .offset = Offset(41),
            .append_time = 1'700'000'000'123'456,
            .event_time = 1'700'000'000'000,
            .key = bytes_of("k1"),
            .value = bytes_of(value),
            .level = Level::kWarn,
            .fields = fields_};
  }
  [[nodiscard]] static PrintOptions as(OutputFormat format) {
    PrintOptions options;
    options.format = format;
    options.zone = Zone::kUtc;
    return options;
  }
  std::vector<FieldView> fields_ = {{.name = "host", .value = "web1"},
                                    {.name = "msg2", .value = "two words"}};
};

TEST_F(Printer, Golden) {
  const ReadRecord disk = record("disk is hot");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kShort)),
            "Nov 14 22:13:20.123 app warn  disk is hot host=web1 msg2=\"two words\"\n");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kShortIso)),
            "2023-11-14T22:13:20.123456Z app warn  disk is hot host=web1 msg2=\"two words\"\n");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kCat)), "disk is hot\n");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kRaw)), "disk is hot\n");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kLogfmt)),
            "time=2023-11-14T22:13:20.123456Z level=warn stream=app shard=2 offset=41 key=k1 "
            "msg=\"disk is hot\" host=web1 msg2=\"two words\"\n");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kJson)),
            R"({"stream":"app","shard":2,"offset":41,"time":"2023-11-14T22:13:20.123456Z",)"
            R"("event_time":"2023-11-14T22:13:20.000000Z","level":"warn","msg":"disk is hot",)"
            R"("key":"k1","fields":{"host":"web1","msg2":"two words"}})"
            "\n");
  EXPECT_EQ(print_record(disk, as(OutputFormat::kVerbose)),
            "2023-11-14T22:13:20.123456Z app/2 offset 41\n"
            "    event-time = 2023-11-14T22:13:20.000000Z\n"
            "    level = warn\n"
            "    key = k1\n"
            "    host = web1\n"
            "    msg2 = two words\n"
            "    message = disk is hot\n");
}

TEST_F(Printer, JsonAlwaysHasEveryMember) {
  ReadRecord bare = record("x");
  bare.key.reset();
  bare.level.reset();
  bare.fields = {};
  EXPECT_THAT(print_record(bare, as(OutputFormat::kJson)),
              HasSubstr(R"("level":null,"msg":"x","key":null,"fields":{}})"));
  EXPECT_THAT(print_record(bare, as(OutputFormat::kJsonPretty)),
              HasSubstr("\n  \"fields\": {}\n}"));
}

TEST_F(Printer, JsonWrapsBytesThatAreNotText) {
  EXPECT_THAT(print_record(record("\xff\xfe"), as(OutputFormat::kJson)),
              HasSubstr(R"("msg":{"base64":"//4="})"));
  EXPECT_THAT(print_record(record("\xff\xfe\x01"), as(OutputFormat::kJson)),
              HasSubstr(R"({"base64":"//4B"})"));
  EXPECT_THAT(print_record(record("\xff"), as(OutputFormat::kJson)),
              HasSubstr(R"({"base64":"/w=="})"));
  EXPECT_THAT(print_record(record("\x1b[2J\n"), as(OutputFormat::kJson)),
              HasSubstr(R"("msg":"\u001b[2J\n")"));
}

TEST_F(Printer, JsonKeepsEveryValueOfARepeatedField) {
  fields_ = {{.name = "a", .value = "1"}, {.name = "a", .value = "2"}, {.name = "a", .value = "3"}};
  EXPECT_THAT(print_record(record("x"), as(OutputFormat::kJson)),
              HasSubstr(R"("fields":{"a":["1","2","3"]})"));
}

TEST_F(Printer, ControlCharactersAreShownToATerminalOnly) {
  const ReadRecord hostile = record("a\x1b]0;title\x07z");
  for (const auto format : {OutputFormat::kShort, OutputFormat::kShortIso, OutputFormat::kCat,
                            OutputFormat::kVerbose, OutputFormat::kLogfmt}) {
    PrintOptions options = as(format);
    EXPECT_THAT(print_record(hostile, options), HasSubstr("\x1b]0;title\x07"));
    options.escaping = Escaping::kVisible;
    EXPECT_THAT(print_record(hostile, options), HasSubstr("a\\x1b]0;title\\x07z"));
  }
  PrintOptions options = as(OutputFormat::kShort);
  options.escaping = Escaping::kVisible;
  options.record_template = "%s";
  EXPECT_EQ(print_record(hostile, options), "a\\x1b]0;title\\x07z");
}

TEST_F(Printer, TemplatesTakeTheLettersOfKcat) {
  PrintOptions options = as(OutputFormat::kShort);
  options.record_template = R"(%t/%p@%o %T %k=%s [%l] %h%n\t%%)";
  EXPECT_EQ(print_record(record("v"), options),
            "app/2@41 1700000000123 k1=v [warn] host=web1,msg2=two words\n\t%");
}

TEST_F(Printer, ColoursByLevelOutsideOfWhatIsHighlighted) {
  PrintOptions options = as(OutputFormat::kCat);
  options.color = true;
  EXPECT_EQ(print_record(record("hot"), options), "\x1b[1;33mhot\x1b[0m\n");
  const auto highlighter = make_highlighter("o");
  ASSERT_TRUE(highlighter);
  options.decorate = *highlighter;
  EXPECT_EQ(print_record(record("hot foo"), options),
            "\x1b[1;33mh\x1b[7mo\x1b[27mt f\x1b[7mo\x1b[27m\x1b[7mo\x1b[27m\x1b[0m\n");
  options.format = OutputFormat::kJson;
  EXPECT_THAT(print_record(record("hot"), options), HasSubstr(R"("msg":"hot")"));
}

TEST(Highlighter, StepsOverEmptyMatches) {
  const auto highlighter = make_highlighter("x*");
  ASSERT_TRUE(highlighter);
  EXPECT_EQ((*highlighter)("axxb"), "a\x1b[7mxx\x1b[27mb");
  EXPECT_EQ((*highlighter)(""), "");
  EXPECT_FALSE(make_highlighter("("));
}

TEST(OutputFormats, AreNamed) {
  EXPECT_EQ(parse_output_format("json-pretty"), OutputFormat::kJsonPretty);
  const auto unknown = parse_output_format("yaml");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message(), HasSubstr("logfmt"));
}

class Filter : public Printer {
 protected:
  bool passes(const ReadOptions& options, std::string_view value) {
    const auto filter = RecordFilter::make(options);
    EXPECT_TRUE(filter);
    return filter && filter->passes(record(value));
  }
};

TEST_F(Filter, PatternsHaveSmartCase) {
  ReadOptions options;
  options.grep = "hot";
  EXPECT_TRUE(passes(options, "disk is HOT"));
  options.grep = "Hot";
  EXPECT_FALSE(passes(options, "disk is hot"));
  EXPECT_TRUE(passes(options, "disk is Hot"));
  options.exclude = "disk";
  EXPECT_FALSE(passes(options, "disk is Hot"));
}

TEST_F(Filter, FieldsAndLevelsMustAllMatch) {
  ReadOptions options;
  options.matches = {{.name = "host", .value = "web1"}};
  EXPECT_TRUE(passes(options, "x"));
  options.matches.push_back({.name = "host", .value = "web2"});
  EXPECT_FALSE(passes(options, "x"));
  options.matches.clear();
  options.level_mask = *parse_level_filter("error");
  EXPECT_FALSE(passes(options, "x"));
  options.level_mask = *parse_level_filter("info..warn");
  EXPECT_TRUE(passes(options, "x"));
}

TEST_F(Filter, ABadPatternIsUsage) {
  ReadOptions options;
  options.grep = "(";
  const auto filter = RecordFilter::make(options);
  ASSERT_FALSE(filter);
  EXPECT_EQ(filter.error().code(), Errc::kInvalidArgument);
}

}  // namespace
}  // namespace lignum::cli
