// The whole process but main: threads, sockets, a real directory; driven by the client library.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "server/app.h"
#include "server/options.h"

namespace lignum::server {
namespace {

using ::testing::HasSubstr;

class AppTest : public ::testing::Test {
 protected:
  AppTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lignum-app-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    settings.options.listen = "127.0.0.1:0";
    settings.options.data = directory + "/data";
    settings.options.groups = 2;
    settings.options.lanes = 2;
    settings.options.log_level = "error";
  }
  ~AppTest() override { std::filesystem::remove_all(directory); }

  std::unique_ptr<App> serve() {
    auto app = std::make_unique<App>(settings);
    const auto started = app->start();
    EXPECT_TRUE(started) << started.error().message();
    return app;
  }
  static std::unique_ptr<Client> connect(const App& app) {
    auto client = Client::connect({.endpoints = {"127.0.0.1:" + std::to_string(app.port())}});
    EXPECT_TRUE(client) << client.error().message();
    return std::move(*client);
  }
  static std::vector<std::string> read_all(Client& client, const std::string& stream) {
    std::vector<std::string> values;
    auto tail = client.tail({.streams = {stream}, .start = {.kind = TailStart::Kind::kEarliest}});
    EXPECT_TRUE(tail) << tail.error().message();
    while (true) {
      auto item = (*tail)->next(std::chrono::seconds(10));
      EXPECT_TRUE(item) << item.error().message();
      if (!item || std::holds_alternative<Tail::End>(*item)) return values;
      if (const auto* record = std::get_if<ReadRecord>(&*item)) {
        values.emplace_back(reinterpret_cast<const char*>(record->value.data()),
                            record->value.size());
      }
    }
  }

  std::string directory;
  Settings settings;
};

TEST_F(AppTest, ServesManyClientsAndKeepsEverythingOverARestart) {
  constexpr int kClients = 4;
  constexpr int kRecords = 500;
  {
    auto app = serve();
    auto admin = connect(*app);
    ASSERT_TRUE(admin->create_stream("app", {}));
    std::atomic<int> acked{0};
    std::vector<std::thread> threads;
    for (int c = 0; c < kClients; ++c) {
      threads.emplace_back([&, c] {
        auto client = connect(*app);
        for (int i = 0; i < kRecords; ++i) {
          Record record;
          record.value = to_bytes(std::to_string(c) + ":" + std::to_string(i));
          const auto queued =
              client->append("app", std::move(record), [&acked](const Result<AppendAck>& ack) {
                if (ack) ++acked;
              });
          ASSERT_TRUE(queued);
        }
        client->flush();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(acked, kClients * kRecords);
    admin.reset();
    EXPECT_TRUE(app->stop());
  }
  auto app = serve();
  auto client = connect(*app);
  const auto values = read_all(*client, "app");
  EXPECT_EQ(values.size(), std::size_t{kClients} * kRecords);
  EXPECT_EQ(std::set<std::string>(values.begin(), values.end()).size(), values.size());
  const auto stat = client->stat();
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->groups.size(), 3U);
  for (const auto& group : stat->groups) EXPECT_EQ(group.role, "leader");
}

TEST_F(AppTest, StopsWhileReadersWait) {
  auto app = serve();
  auto client = connect(*app);
  ASSERT_TRUE(client->create_stream("app", {}));
  auto tail = client->tail({.streams = {"app"}, .follow = true});
  ASSERT_TRUE(tail);
  std::thread reader([&tail] {
    while (true) {
      auto item = (*tail)->next(std::chrono::seconds(1));
      if (!item || std::holds_alternative<Tail::End>(*item)) return;
    }
  });
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(app->stop());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  (*tail)->stop();
  reader.join();
}

TEST_F(AppTest, RefusesASecondProcessAndATakenPort) {
  auto app = serve();
  App second(settings);
  const auto locked = second.start();
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code(), Errc::kLocked);
  EXPECT_THAT(locked.error().message(), HasSubstr(settings.options.data));
  EXPECT_EQ(exit_code(locked.error()), 7);
  settings.options.data += "2";
  settings.options.listen = "127.0.0.1:" + std::to_string(app->port());
  App third(settings);
  const auto taken = third.start();
  ASSERT_FALSE(taken);
  EXPECT_EQ(exit_code(taken.error()), 5);
  EXPECT_THAT(taken.error().message(), HasSubstr(settings.options.listen));
}

TEST_F(AppTest, WritesThePortFileAndChangesItsLogLevel) {
  settings.options.port_file = directory + "/port";
  auto app = serve();
  std::ifstream file(settings.options.port_file);
  std::string port;
  ASSERT_TRUE(std::getline(file, port));
  EXPECT_EQ(port, std::to_string(app->port()));
  auto client = connect(*app);
  EXPECT_EQ(client->set_log_level("warn"), "error");
  EXPECT_EQ(client->set_log_level("error"), "warn");
  EXPECT_FALSE(client->set_log_level("loud"));
}

}  // namespace
}  // namespace lignum::server
