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
           {"[contexts.a]\nendpoints = []", "no endpoints"},
           {"contexts = 3", "no setting"}}) {
    const auto contexts = parse_contexts(text);
    ASSERT_FALSE(contexts) << text;
    EXPECT_EQ(contexts.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(contexts.error().message(), HasSubstr(std::string(complaint)));
  }
}

TEST(Endpoints, NeedAPort) {
  EXPECT_THAT(*parse_endpoints("a:1,b:65535,"), ElementsAre("a:1", "b:65535"));
  for (const std::string_view text : {"", ",", "a", "a:", ":1", "a:x", "a:123456"}) {
    EXPECT_FALSE(parse_endpoints(text)) << text;
  }
}

TEST(Endpoints, ComeFromTheStrongestWord) {
  Contexts contexts;
  contexts.by_name["prod"] = {.endpoints = {"p:1"}};
  contexts.by_name["test"] = {.endpoints = {"t:1"}};
  EXPECT_THAT(*choose_endpoints({}, contexts), ElementsAre("127.0.0.1:7400"));
  contexts.current = "prod";
  EXPECT_THAT(*choose_endpoints({}, contexts), ElementsAre("p:1"));
  EXPECT_THAT(*choose_endpoints({.said = {}, .context = "test"}, contexts), ElementsAre("t:1"));
  EXPECT_THAT(
      *choose_endpoints({.said = std::vector<std::string>{"s:1"}, .context = "test"}, contexts),
      ElementsAre("s:1"));
  const auto missing = choose_endpoints({.said = {}, .context = "nope"}, contexts);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Errc::kNotFound);
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
  ASSERT_TRUE(replace_text_file(path, ""));
  EXPECT_EQ(load_cursor(path).error().code(), Errc::kInvalidArgument);
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
