// `logd recover-group` on a real directory: the facts, the plan, the deed; and logd goes on with
// it.

#include "server/recover_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/app.h"
#include "server/command_line.h"
#include "server/config_file.h"
#include "server/group/data_directory.h"
#include "server/group/segment_store.h"
#include "server/lane_ports.h"
#include "server/node_storage.h"
#include "server/options.h"

namespace lignum::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint32_t kGroups = 2;

class RecoverCommand : public ::testing::Test {
 protected:
  RecoverCommand() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lignum-recover-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    data = directory + "/data";
  }
  ~RecoverCommand() override { std::filesystem::remove_all(directory); }

  // The data of node 1 of three.
  void make_node() const {
    const auto storage = NodeStorage::open(data);
    ASSERT_TRUE(storage) << storage.error().message();
    BootstrapOptions options{.groups = kGroups, .incarnation = NodeIncarnation(101)};
    for (std::uint32_t node = 1; node <= 3; ++node) {
      options.members.push_back({.node = NodeId(node), .incarnation = NodeIncarnation(100 + node)});
    }
    const auto made = open_data_directory((*storage)->root(), options, make_segmented_log({}));
    ASSERT_TRUE(made) << made.error().message();
  }
  // Empty where it succeeds; `out` is what it printed.
  std::optional<Error> run(const RecoverRequest& request) {
    out.clear();
    const auto done = recover_groups(
        request,
        {.data = data,
         .now = read_clocks(),
         .read_file =
             [](const std::string& file) { return read_small_file(file, "file of facts"); },
         .print = [this](const std::string& text) { out += text; },
         .remark = [](const std::string&) {}});
    return done ? std::nullopt : std::optional<Error>(done.error());
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory + "/" + name) << text;
    return directory + "/" + name;
  }

  std::string directory;
  std::string data;
  std::string out;
};

TEST_F(RecoverCommand, OneOfThreeGoesOn) {
  make_node();
  ASSERT_EQ(run({}), std::nullopt);
  EXPECT_THAT(out, HasSubstr("survivor group=0 "));
  const std::string facts = write("node1.facts", out);

  ASSERT_EQ(run({.survivors = {facts}, .dry_run = true}), std::nullopt);
  EXPECT_THAT(out, HasSubstr("lost for ever 2, 3"));
  EXPECT_THAT(out, HasSubstr("MAY BE LOST"));
  EXPECT_THAT(out, HasSubstr("nothing was changed"));
  const std::string planned = out.substr(0, out.find("dry run"));

  ASSERT_EQ(run({.survivors = {facts}, .group = 1}), std::nullopt);
  EXPECT_THAT(out, HasSubstr("group 1: node 1's part is done\n"));
  EXPECT_THAT(out, Not(HasSubstr("group 0")));
  ASSERT_EQ(run({.survivors = {facts}}), std::nullopt);
  EXPECT_THAT(out, HasSubstr(planned)) << "what was said before it was done";
  EXPECT_THAT(out, HasSubstr("group 0: node 1's part is done\n"));
  EXPECT_THAT(out, HasSubstr("group 1: node 1's part is done already\n"));

  Settings settings;
  settings.options.listen = "127.0.0.1:0";
  settings.options.data = data;
  settings.options.log_level = "error";
  App app(settings);
  const auto started = app.start();
  ASSERT_TRUE(started) << started.error().message();
  EXPECT_EQ(run({}).value().code(), Errc::kLocked) << "it is served";
  const auto client = Client::connect({.endpoints = {"127.0.0.1:" + std::to_string(app.port())}});
  ASSERT_TRUE(client) << client.error().message();
  const auto created = (*client)->create_stream("app", {});
  EXPECT_TRUE(created) << created.error().message();
  EXPECT_TRUE(app.stop());
}

TEST_F(RecoverCommand, SaysWhatIsWrong) {
  const auto nothing = run({});
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->code(), Errc::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(data)) << "nothing is made";
  make_node();
  ASSERT_EQ(run({}), std::nullopt);
  const std::string facts = write("node1.facts", out);
  const std::string changed = write("changed", out.substr(0, out.size() - 3) + "\n");

  const auto dry = run({.dry_run = true});
  EXPECT_EQ(dry.value().code(), Errc::kInvalidArgument);
  EXPECT_THAT(dry->message(), HasSubstr("--survivors"));
  EXPECT_THAT(run({.group = 7}).value().message(), HasSubstr("no such group"));
  EXPECT_THAT(run({.survivors = {facts}, .group = 7}).value().message(),
              HasSubstr("any such group"));
  EXPECT_THAT(run({.survivors = {directory + "/none"}}).value().message(),
              HasSubstr("file of facts"));
  EXPECT_THAT(run({.survivors = {changed}}).value().message(), HasSubstr("changed:3:"));
  // Every group of the files is planned before the first is touched.
  const auto twice = run({.survivors = {facts, facts}});
  EXPECT_THAT(twice.value().message(), HasSubstr("named twice"));
  ASSERT_EQ(run({.survivors = {facts}, .dry_run = true}), std::nullopt);
}

TEST_F(RecoverCommand, ANodeThatIsAloneNeedsNone) {
  {
    const auto storage = NodeStorage::open(data);
    ASSERT_TRUE(storage);
    ASSERT_TRUE(open_data_directory((*storage)->root(),
                                    {.groups = 1, .incarnation = NodeIncarnation(101)},
                                    make_segmented_log({})));
  }
  ASSERT_EQ(run({}), std::nullopt);
  const auto refused = run({.survivors = {write("facts", out)}});
  ASSERT_TRUE(refused);
  EXPECT_EQ(exit_code(*refused), 2);
  EXPECT_THAT(refused->message(), HasSubstr("nothing is lost, start them"));
}

}  // namespace
}  // namespace lignum::server
