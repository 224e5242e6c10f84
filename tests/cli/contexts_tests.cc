#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/context_verbs.h"
#include "cli/contexts.h"
#include "cli/cursor_file.h"
#include "cli/endpoint_text.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/text_file.h"
#include "raft/error.h"

namespace lignum::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Contexts, ReadWhatTheyWrite) {
  Contexts contexts;
  contexts.current = "prod";
  contexts.by_name["prod"] = {.endpoints = {"10.0.0.1:7400", "[::1]:7400"}};
  contexts.by_name["odd name\"x"] = {.endpoints = {"localhost:1"}};
  const auto back = parse_contexts(print_contexts(contexts));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->current, "prod");
  EXPECT_THAT(back->by_name.at("prod").endpoints, ElementsAre("10.0.0.1:7400", "[::1]:7400"));
  EXPECT_TRUE(back->by_name.contains("odd name\"x"));
}

TEST(Contexts, RefuseWhatWouldBeIgnored) {
  for (const auto& [text, complaint] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"current = ", "line 1"},
           {"curent = \"a\"", "no setting 'curent'"},
           {"[contexts.a]\nendpoint = [\"x:1\"]", "line 2"},
           {"[contexts.a]\nendpoints = \"x:1\"", "list"},
           {"[contexts.a]\nendpoints = [\"x\"]", "HOST:PORT"},
           {"[contexts.a]\nendpoints = [\"y:1\",\n\"x\"]", "line 3"},
           {"[contexts.a]\nendpoints = []", "no endpoints"},
           {"contexts = 3", "no setting"}}) {
    const auto contexts = parse_contexts(text);
    ASSERT_FALSE(contexts) << text;
    EXPECT_EQ(contexts.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(contexts.error().message(), HasSubstr(std::string(complaint)));
  }
}

TEST(Endpoints, AreHostAndPort) {
  EXPECT_THAT(*parse_endpoints("a:1,b:65535,"), ElementsAre("a:1", "b:65535"));
  EXPECT_THAT(*parse_endpoints("10.0.0.1:7400,[::1]:7400,web-1.example_x:1,[fe80::1%eth0]:2"),
              ElementsAre("10.0.0.1:7400", "[::1]:7400", "web-1.example_x:1", "[fe80::1%eth0]:2"));
}

TEST(Endpoints, AreRefusedByThePartThatIsWrong) {
  for (const auto& [text, complaint] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"", "no endpoint"},
           {",", "no endpoint"},
           {"a", "'a' is not an endpoint: it has no port"},
           {"[::1]", "it has no port"},
           {"a:", "'' is not a port"},
           {":1", "it has no host"},
           {"[]:1", "it has no host"},
           {"foo:bar", "'bar' is not a port"},
           {"a:123456", "'123456' is not a port"},
           {"a:-1", "'-1' is not a port"},
           {"a:0", "'0' is not a port"},
           {"a:1x", "'1x' is not a port"},
           {"a:7400/path", "'7400/path' is not a port"},
           {"::1:7400", "brackets"},
           {"http://a:1", "leave out the 'http://'"},
           {"a b:1", "' ' does not belong"},
           {"a:1;b:2", "does not belong into the host 'a:1;b'"},
           {"user@a:1", "'@' does not belong"},
           {"b:1,a", "'a' is not an endpoint"}}) {
    const auto endpoints = parse_endpoints(text);
    ASSERT_FALSE(endpoints) << text;
    EXPECT_EQ(endpoints.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(endpoints.error().message(), HasSubstr(std::string(complaint)));
    EXPECT_THAT(endpoints.error().message(), HasSubstr("HOST:PORT"));
  }
}

// A flag beats the environment, and the environment what was chosen once.
TEST(Endpoints, ComeFromTheStrongestWord) {
  Contexts contexts;
  contexts.by_name["prod"] = {.endpoints = {"p:1"}};
  contexts.by_name["test"] = {.endpoints = {"t:1"}};
  contexts.by_name["other"] = {.endpoints = {"o:1"}};
  EndpointChoice choice;
  EXPECT_THAT(*choose_endpoints(choice, contexts), ElementsAre("127.0.0.1:7400"));
  contexts.current = "prod";
  EXPECT_THAT(*choose_endpoints(choice, contexts), ElementsAre("p:1"));
  choice.environment_context = "other";
  EXPECT_THAT(*choose_endpoints(choice, contexts), ElementsAre("o:1"));
  EXPECT_TRUE(choice.needs_contexts());
  choice.environment_endpoints = "e:1";
  EXPECT_THAT(*choose_endpoints(choice, contexts), ElementsAre("e:1"));
  EXPECT_FALSE(choice.needs_contexts());
  choice.context = "test";
  EXPECT_THAT(*choose_endpoints(choice, contexts), ElementsAre("t:1"));
  EXPECT_TRUE(choice.needs_contexts());
  choice.endpoints = std::vector<std::string>{"s:1"};
  EXPECT_THAT(*choose_endpoints(choice, contexts), ElementsAre("s:1"));
  EXPECT_FALSE(choice.needs_contexts());
}

TEST(Endpoints, OfTheEnvironmentAreJudgedWhereTheyCount) {
  EndpointChoice choice;
  choice.environment_endpoints = "nowhere";
  const auto wrong = choose_endpoints(choice, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Errc::kInvalidArgument);
  EXPECT_THAT(wrong.error().message(), HasSubstr("LOGCTL_ENDPOINTS: 'nowhere'"));
  choice.context = "nope";
  const auto missing = choose_endpoints(choice, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Errc::kNotFound);
  choice.endpoints = std::vector<std::string>{"s:1"};
  EXPECT_TRUE(choose_endpoints(choice, {}));
}

TEST(ConfigPath, FollowsXdg) {
  EXPECT_EQ(config_path({.logctl_config = "/c", .xdg_config_home = "/x", .home = "/h"}), "/c");
  EXPECT_EQ(config_path({.logctl_config = {}, .xdg_config_home = "/x", .home = "/h"}),
            "/x/logctl/config.toml");
  EXPECT_EQ(config_path({.logctl_config = {}, .xdg_config_home = "", .home = "/h"}),
            "/h/.config/logctl/config.toml");
  EXPECT_EQ(config_path({}), std::nullopt);
}

class Files : public testing::Test {
 protected:
  Files() {
    std::string pattern = testing::TempDir() + "lignum-cli-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~Files() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::string directory_;
};

TEST_F(Files, AreReplacedWhole) {
  const std::string path = directory_ + "/f";
  EXPECT_EQ(*read_text_file(path), std::nullopt);
  ASSERT_TRUE(replace_text_file(path, "one\n"));
  ASSERT_TRUE(replace_text_file(path, "two\n"));
  EXPECT_EQ(*read_text_file(path), "two\n");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  const auto nowhere = replace_text_file(directory_ + "/no/f", "x");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code(), Errc::kIo);
}

TEST_F(Files, CursorsAreOneLine) {
  const std::string path = directory_ + "/cursor";
  EXPECT_EQ(*load_cursor(path), std::nullopt);
  ASSERT_TRUE(store_cursor(path, "v1:7:0=12"));
  EXPECT_EQ(*load_cursor(path), "v1:7:0=12");
}

// One exit code for all of them, and the way out in every message.
TEST_F(Files, DamagedCursorsAreNamedWithThePlace) {
  const std::string path = directory_ + "/cursor";
  for (const auto& [text, complaint] : std::vector<std::pair<std::string, std::string_view>>{
           {"", "it is empty"},
           {"\n", "byte 0"},
           {"v1:7:0=12", "cut at byte 9"},
           {"v1:7:0=12\nv1:7:0=13\n", "more than one line"},
           {"nonsense\n", "byte 0: 'nonsense'"},
           {"v2:7:0=12\n", "'v2:'; this build knows v1"},
           {"v1:7:0=12,1=x\n", "byte 10: '1=x'"},
           {"v1:7:0=12,\n", "byte 9: ','"},
           {"v1:7:0=12;9\n", "byte 10: '9'"},
           {"v1:7:0=12\r\n", "byte 5: '0=12\r'"},
           {"v1:7:0=1,0=2\n", "byte 9: '0=2'"},
           {"v1:\n", "names no stream"},
           {std::string(100, '\0') + "\n", "byte 0"},
           {std::string((1 << 20) + 1, 'x'), "larger than 1 MiB"}}) {
    ASSERT_TRUE(replace_text_file(path, text));
    const auto cursor = load_cursor(path);
    ASSERT_FALSE(cursor) << text.substr(0, 80);
    EXPECT_EQ(exit_code(cursor.error().code()), ExitCode::kLocal);
    EXPECT_THAT(cursor.error().message(), HasSubstr("cursor file '" + path + "' is damaged: "));
    EXPECT_THAT(cursor.error().message(), HasSubstr(std::string(complaint)));
    EXPECT_THAT(cursor.error().message(), HasSubstr("remove it to begin without a cursor"));
  }
}

TEST_F(Files, TheWayForACursorIsTriedBeforeAndLeavesNoTrace) {
  const std::string path = directory_ + "/cursor";
  ASSERT_TRUE(check_cursor_writable(path));
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  ASSERT_TRUE(store_cursor(path, "v1:7:0=12"));
  ASSERT_TRUE(check_cursor_writable(path));
  EXPECT_EQ(*load_cursor(path), "v1:7:0=12");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  for (const std::string& wrong :
       {directory_ + "/no/cursor", directory_, std::string("/dev/null")}) {
    const auto checked = check_cursor_writable(wrong);
    ASSERT_FALSE(checked) << wrong;
    EXPECT_EQ(exit_code(checked.error().code()), ExitCode::kLocal);
    EXPECT_THAT(checked.error().message(), HasSubstr("'" + wrong + "'"));
  }
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_FALSE(replace_text_file("/dev/null", "x"));
}

TEST_F(Files, ContextsLiveInAFile) {
  const std::string path = directory_ + "/logctl/config.toml";
  Terminal terminal(ColorChoice::kNever);
  terminal.set_quiet();
  const auto run = [&](ContextAction action, std::string name, std::string endpoints) {
    return run_context(
        terminal, path,
        {.action = action, .name = std::move(name), .endpoints = std::move(endpoints)});
  };
  EXPECT_EQ(run(ContextAction::kUse, "prod", "").error().code(), Errc::kNotFound);
  ASSERT_TRUE(run(ContextAction::kAdd, "prod", "p:1,q:2"));
  ASSERT_TRUE(run(ContextAction::kAdd, "test", "t:1"));
  EXPECT_EQ(load_contexts(path)->current, "prod");
  ASSERT_TRUE(run(ContextAction::kUse, "test", ""));
  EXPECT_EQ(load_contexts(path)->current, "test");
  ASSERT_TRUE(run(ContextAction::kRemove, "test", ""));
  EXPECT_EQ(load_contexts(path)->current, std::nullopt);
  EXPECT_THAT(load_contexts(path)->by_name.at("prod").endpoints, ElementsAre("p:1", "q:2"));
  EXPECT_FALSE(run(ContextAction::kAdd, "bad", "nowhere"));
  ASSERT_TRUE(replace_text_file(path, "x = 1"));
  EXPECT_THAT(load_contexts(path).error().message(), HasSubstr(path));
}

}  // namespace
}  // namespace lignum::cli
