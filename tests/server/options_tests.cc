// Every layer of the settings, and every sentence a wrong one is answered with.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/protocol_version.h"
#include "raft/error.h"
#include "server/command_line.h"
#include "server/config_file.h"
#include "server/options.h"
#include "storage/identity_file.h"

namespace lignum::server {
namespace {

using ::testing::HasSubstr;

struct World {
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::string file = {};

  [[nodiscard]] Result<Command> parse(std::vector<std::string> arguments) const {
    return parse_command_line({.arguments = std::move(arguments),
                               .environment = environment,
                               .read_file = [this](const std::string& name) -> Result<std::string> {
                                 if (name != "logd.toml")
                                   return fail(Errc::kNotFound, name + " does not exist");
                                 return file;
                               }});
  }
  [[nodiscard]] std::string error(std::vector<std::string> arguments) const {
    const auto command = parse(std::move(arguments));
    return command ? "no error" : command.error().message();
  }
};

TEST(Options, DefaultsServeOnLoopback) {
  const auto command = World{}.parse({});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->action, Action::kServe);
  const Options& options = command->settings.options;
  EXPECT_EQ(options.listen, "127.0.0.1:7400");
  EXPECT_EQ(options.data, "./lignum-data");
  EXPECT_EQ(options.groups, 8U);
  EXPECT_EQ(options.stream_shards, 4U);
  EXPECT_EQ(options.stream_retention, std::chrono::days(7));
  EXPECT_FALSE(options.stream_retention_bytes);
}

TEST(Options, LaterLayersWin) {
  World world{.environment = {{"LOGD_CONFIG", "logd.toml"}, {"LOGD_GROUPS", "3"}, {"HOME", "/"}},
              .file = "groups = 2\nlanes = 5\n[log]\nlevel = \"debug\"\n"};
  const auto command = world.parse({"--lanes", "7"});
  ASSERT_TRUE(command) << command.error().message();
  EXPECT_EQ(command->settings.options.groups, 3U);
  EXPECT_EQ(command->settings.options.lanes, 7U);
  EXPECT_EQ(command->settings.options.log_level, "debug");
  EXPECT_EQ(command->settings.sources.at("groups"), "LOGD_GROUPS");
  EXPECT_EQ(command->settings.sources.at("lanes"), "--lanes");
  EXPECT_EQ(command->settings.sources.at("log.level"), "logd.toml:4");
}

TEST(Options, PrintedConfigurationParsesBackToTheSame) {
  World world{.file =
                  "data = \"/srv/a \\\"b\\\"\"\n[streams]\nretention = \"forever\"\n"
                  "retention_bytes = \"3GiB\"\n"};
  const auto printed =
      world.parse({"--config=logd.toml", "--print-config", "--log-format", "json"});
  ASSERT_TRUE(printed) << printed.error().message();
  EXPECT_EQ(printed->action, Action::kPrint);
  EXPECT_THAT(printed->text, HasSubstr("# default"));
  EXPECT_THAT(printed->text, HasSubstr("# logd.toml:3"));
  EXPECT_THAT(printed->text, HasSubstr("# --log-format"));
  Settings again;
  const auto applied = apply_toml(again, printed->text, "printed");
  ASSERT_TRUE(applied) << applied.error().message() << printed->text;
  EXPECT_EQ(again.options.data, "/srv/a \"b\"");
  EXPECT_FALSE(again.options.stream_retention);
  EXPECT_EQ(again.options.stream_retention_bytes, std::uint64_t{3} << 30);
  EXPECT_EQ(again.options.log_format, LogFormat::kJson);
}

TEST(Options, UnknownNamesAreRefusedWithTheNearest) {
  EXPECT_EQ(World{}.error({"--lsten", "x"}), "unknown flag '--lsten'; did you mean '--listen'?");
  EXPECT_EQ(World{}.error({"--zzzzzzzzzzzzzz"}),
            "unknown flag '--zzzzzzzzzzzzzz'; see logd --help");
  World world{.environment = {{"LOGD_LISTN", "x"}}};
  EXPECT_EQ(world.error({}),
            "environment: unknown variable 'LOGD_LISTN'; did you mean 'LOGD_LISTEN'?");
  world = {.file = "groups = 1\n\n[log]\nlevle = \"info\"\n"};
  EXPECT_EQ(world.error({"--config", "logd.toml"}),
            "logd.toml:4: unknown setting 'log.levle'; did you mean 'log.level'?");
  world = {.file = "[lgo]\nlevel = \"info\"\n"};
  EXPECT_THAT(world.error({"--config", "logd.toml"}), HasSubstr("logd.toml:1: unknown setting"));
}

TEST(Options, WrongValuesSayWhatIsRight) {
  EXPECT_EQ(World{}.error({"--groups", "0"}),
            "--groups: groups: '0' is not a whole number from 1 to 1024");
  EXPECT_EQ(World{}.error({"--listen", "7400"}),
            "--listen: listen: '7400' is not an address: write HOST:PORT, such as 127.0.0.1:7400, "
            "[::1]:7400 or localhost:7400");
  EXPECT_EQ(World{}.error({"--log-level", "loud"}),
            "--log-level: log.level: 'loud' is not one of trace, debug, info, warn, error");
  EXPECT_EQ(World{}.error({"--log-format", "xml"}),
            "--log-format: log.format: 'xml' is not one of human, json, logfmt");
  EXPECT_THAT(World{}.error({"--streams-retention", "7 weeks"}), HasSubstr("is not a duration"));
  EXPECT_THAT(World{}.error({"--streams-retention", "0s"}), HasSubstr("would keep nothing"));
  EXPECT_THAT(World{}.error({"--streams-retention-bytes", "many"}), HasSubstr("is not a size"));
  EXPECT_THAT(World{}.error({"--streams-retention-bytes", "0"}), HasSubstr("would keep nothing"));
  EXPECT_THAT(World{}.error({"--data", ""}), HasSubstr("data directory has no name"));
  EXPECT_THAT(World{}.error({"stray"}), HasSubstr("see logd --help"));
  EXPECT_THAT(World{}.error({"--config", "gone.toml"}), HasSubstr("gone.toml does not exist"));
  World world{.environment = {{"LOGD_INSECURE", "maybe"}}};
  EXPECT_EQ(world.error({}), "LOGD_INSECURE: insecure: 'maybe' is neither true nor false");
  world = {.file = "groups = \n"};
  EXPECT_THAT(world.error({"--config", "logd.toml"}), HasSubstr("logd.toml:1: "));
  world = {.file = "groups = [1]\n"};
  EXPECT_EQ(world.error({"--config", "logd.toml"}),
            "logd.toml:1: groups takes one value: a text, a number, true or false");
}

TEST(Options, BeyondLoopbackOnlyWhenTold) {
  EXPECT_THAT(World{}.error({"--listen", "0.0.0.0:7400"}), HasSubstr("--insecure"));
  EXPECT_THAT(World{}.error({"--listen", "127.evil.example:1"}), HasSubstr("--insecure"));
  EXPECT_EQ(World{}.error({"--listen", "0.0.0.0:7400", "--insecure"}), "no error");
  EXPECT_EQ(World{}.error({"--listen", "[::1]:0"}), "no error");
  EXPECT_EQ(World{}.error({"--listen", "localhost:1"}), "no error");
}

TEST(Options, SwitchTakesBackWhatAnEarlierPlaceSaid) {
  World world{.file = "insecure = true\n"};
  const auto command = world.parse({"--config", "logd.toml", "--insecure=false"});
  ASSERT_TRUE(command) << command.error().message();
  EXPECT_FALSE(command->settings.options.insecure);
  EXPECT_EQ(command->settings.sources.at("insecure"), "--insecure");
  EXPECT_THAT(World{}.error({"--listen", "0.0.0.0:7400", "--insecure=false"}),
              HasSubstr("--insecure"));
  EXPECT_EQ(World{}.error({"--listen", "0.0.0.0:7400", "--insecure=true"}), "no error");
  EXPECT_EQ(World{}.error({"--insecure=maybe"}),
            "--insecure: insecure: 'maybe' is neither true nor false");
}

TEST(Options, CheckConfigVersionAndHelp) {
  World world{.file = "groups = 2\n"};
  const auto checked = world.parse({"check-config", "--config", "logd.toml"});
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(checked->action, Action::kPrint);
  EXPECT_THAT(checked->text, HasSubstr("is fine"));
  const auto version = world.parse({"--version"});
  ASSERT_TRUE(version);
  EXPECT_EQ(version->text,
            fmt::format("logd 0.1.0 (data format {}, {} with members; protocol {})\n",
                        storage::kDataFormatVersion, storage::kDataFormatVersionMembers,
                        net::kProtocolVersion));
  const auto help = world.parse({"--help"});
  ASSERT_TRUE(help);
  EXPECT_THAT(help->text, HasSubstr("Exit codes"));
  EXPECT_THAT(help->text, HasSubstr("LOGD_STREAMS_RETENTION"));
}

TEST(Options, RecoverGroup) {
  World world{.file = ""};
  const auto facts = world.parse({"recover-group", "--data", "/d", "--group", "3"});
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->action, Action::kRecover);
  EXPECT_EQ(facts->settings.options.data, "/d");
  EXPECT_EQ(facts->recover.group, 3U);
  EXPECT_TRUE(facts->recover.survivors.empty());
  const auto plan = world.parse({"recover-group", "--survivors", "a", "b", "--dry-run"});
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_THAT(plan->recover.survivors, ::testing::ElementsAre("a", "b"));
  EXPECT_TRUE(plan->recover.dry_run);
  EXPECT_EQ(plan->recover.group, std::nullopt);
  EXPECT_THAT(world.error({"recover-group", "--survivor", "a"}),
              HasSubstr("did you mean '--survivors'"));
  EXPECT_THAT(world.error({"recover-group", "--group", "x"}), HasSubstr("--group"));
  // Serving takes none of them.
  EXPECT_THAT(world.error({"--dry-run"}), HasSubstr("--dry-run"));
}

TEST(Options, SizesAndDurations) {
  EXPECT_EQ(parse_size("64MiB"), std::uint64_t{64} << 20);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000U);
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_FALSE(parse_size("99999999999TiB"));
  EXPECT_EQ(parse_duration("90m"), std::chrono::minutes(90));
  EXPECT_FALSE(parse_duration("90"));
  EXPECT_EQ(print_size(std::uint64_t{3} << 20), "3MiB");
  EXPECT_EQ(print_duration(std::chrono::hours(36)), "36h");
}

TEST(Options, WhatIsTooLargeSaysSo) {
  constexpr const char* kLimit = "at most 9223372036854775807 bytes, one less than 8EiB";
  for (const char* size : {"16EiB", "8EiB", "99999999999999TiB", "9223372036854775808",
                           "18446744073709551615", "99999999999999999999999 kB"}) {
    const auto parsed = parse_size(size);
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().message(), fmt::format("'{}' is too large: {}", size, kLimit));
  }
  EXPECT_EQ(parse_size("7EiB"), std::uint64_t{7} << 60);
  EXPECT_EQ(print_size(std::uint64_t{7} << 60), "7EiB");
  EXPECT_EQ(parse_size("2PB"), 2'000'000'000'000'000U);
  EXPECT_THAT(parse_size("99999999999999999999999 parsecs").error().message(),
              HasSubstr("is not a size"));
  const auto days = parse_duration("999999999999d");
  ASSERT_FALSE(days);
  EXPECT_EQ(days.error().message(), "'999999999999d' is too large: at most 106751991167d");
  EXPECT_EQ(parse_duration("106751991167d"), std::chrono::days(106'751'991'167));
}

// Beyond it the node would have taken the setting and refused every stream.
TEST(Options, RetentionBytesFitWhatIsKeptOfAStream) {
  const auto of = [](const char* text) {
    return World{}.parse({"--streams-retention-bytes", text});
  };
  const auto largest = of("9223372036854775807");
  ASSERT_TRUE(largest) << largest.error().message();
  EXPECT_EQ(largest->settings.options.stream_retention_bytes, 9'223'372'036'854'775'807U);
  for (const char* text : {"9223372036854775808", "18446744073709551615"}) {
    const auto refused = of(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(refused.error().message(),
                testing::AllOf(HasSubstr("streams.retention_bytes"), HasSubstr("is too large")));
  }
}

TEST(Options, AnEmptyNameOfTheFileIsRefusedOnTheCommandLine) {
  EXPECT_EQ(World{}.error({"--config", ""}),
            "--config: the file has no name: name one, or leave the flag out");
  EXPECT_EQ(World{}.error({"check-config", "--config", ""}),
            "--config: the file has no name: name one, or leave the flag out");
  World world{.environment = {{"LOGD_CONFIG", ""}}};
  EXPECT_EQ(world.error({}), "no error");
}

TEST(Options, TextWithoutQuotesIsExplained) {
  const auto error_of = [](const char* file) {
    return World{.file = file}.error({"--config", "logd.toml"});
  };
  constexpr const char* kHint = "; text needs quotes, such as listen = \"127.0.0.1:7400\"";
  for (const char* file : {"listen = 127.0.0.1:7711\n", "groups = 1\ndata = /srv/lignum\n",
                           "[log]\nlevel = info", "[streams]\nretention = 30d\n"}) {
    EXPECT_THAT(error_of(file), testing::EndsWith(kHint)) << file;
  }
  for (const char* file : {"data = \"/srv\n", "groups = \n", "groups = # none\n", "groups\n"}) {
    EXPECT_THAT(error_of(file), testing::Not(HasSubstr("quotes, such"))) << file;
  }
}

TEST(Options, CheckConfigCountsValuesThatDiffer) {
  World world{.file = "groups = 8\nlisten = \"127.0.0.1:7400\"\nlanes = 2\n"};
  const auto checked = world.parse({"check-config", "--config", "logd.toml"});
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_THAT(checked->text, HasSubstr("(1 of 14 settings differs from the defaults)"));
  world.file = "groups = 8\n";
  EXPECT_THAT(world.parse({"check-config", "--config", "logd.toml"})->text,
              HasSubstr("(0 of 14 settings differ from the defaults)"));
}

TEST(ConfigFile, WhatCannotBeReadIsNamed) {
  const std::string directory = testing::TempDir();
  const auto refused = [](const std::string& name, const std::string& why) {
    const auto text = read_config_file(name);
    ASSERT_FALSE(text) << name;
    EXPECT_EQ(text.error().code(), Errc::kInvalidArgument);
    EXPECT_EQ(text.error().message(),
              fmt::format("cannot read the configuration file '{}': {}", name, why));
  };
  refused(directory, "Is a directory");
  refused(directory + "/gone.toml", "No such file or directory");
  // Reading at 0 is an EIO there.
  refused("/proc/self/mem", "Input/output error");
  refused("/dev/zero", "it is larger than 1048576 bytes, so it is probably another file");
  const std::string name = directory + "/options_tests.toml";
  std::ofstream(name) << "groups = 1\n";
  EXPECT_EQ(read_config_file(name), "groups = 1\n");
}

// Found by fuzz_options: such a value printed as a file that could not be read back.
TEST(Options, ValuesAreOneLineOfText) {
  for (const std::string_view value : {"a\nb", "a\xFF", "\x7F", "\xC0\xAF", "\xED\xA0\x80"}) {
    Settings settings;
    const auto applied = apply_setting(settings, "data", value, "LOGD_DATA");
    ASSERT_FALSE(applied.has_value());
    EXPECT_THAT(applied.error().message(), testing::HasSubstr("UTF-8"));
  }
  Settings settings;
  ASSERT_TRUE(apply_setting(settings, "data", "/d\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 \"\\", "x")
                  .has_value());
  Settings again;
  ASSERT_TRUE(apply_toml(again, print_config(settings), "printed").has_value());
  EXPECT_EQ(again.options.data, settings.options.data);
}

}  // namespace
}  // namespace lignum::server
