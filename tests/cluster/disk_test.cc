// A disk that is full and a disk that fails, under a real logd: no ack depends on a failed flush,
// a full disk refuses appends and keeps the rest working, and heals by itself.
//
// Each test needs something of the machine (root, strace) and is skipped, with a word, without it.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "tests/cluster/ledger.h"
#include "tests/cluster/node.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

using testing::HasSubstr;

// A file system in memory with an end.
class SmallDisk {
 public:
  explicit SmallDisk(std::string_view size) {
    const std::string options = fmt::format("size={}", size);
    if (::mount("none", directory_.path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
      refusal_ = std::strerror(errno);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  SmallDisk(SmallDisk&&) = delete;
  SmallDisk& operator=(SmallDisk&&) = delete;
  ~SmallDisk() {
    if (!refusal_) {
      ::umount2(directory_.path().c_str(), MNT_DETACH);
    }
  }
  // Why there is none.
  [[nodiscard]] const std::optional<std::string>& refusal() const { return refusal_; }
  [[nodiscard]] const std::filesystem::path& path() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  std::optional<std::string> refusal_;
};

// Takes all that is left of the disk.
void fill_up(const std::filesystem::path& file) {
  const Handle out(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ASSERT_GE(out.get(), 0);
  // Ever smaller pieces, down to the last block.
  for (std::size_t piece = 1 << 20; piece >= 512; piece /= 2) {
    const std::string zeros(piece, '\0');
    while (::write(out.get(), zeros.data(), zeros.size()) == static_cast<ssize_t>(piece)) {
    }
  }
}

std::unique_ptr<Client> connect(const Node& node) {
  auto client =
      Client::connect({.endpoints = {node.endpoint()}, .append_deadline = std::chrono::seconds(2)});
  if (!client) {
    ADD_FAILURE() << client.error().describe();
    return nullptr;
  }
  return std::move(*client);
}

// Appends 64 KiB records until one is refused; how many went in. The error goes to `refused`.
std::uint64_t append_until_refused(Client& client, std::optional<Error>& refused) {
  constexpr std::uint64_t kRecordsMax = 10'000;
  const std::vector<std::byte> value(65536, std::byte{'x'});
  for (std::uint64_t count = 0; count < kRecordsMax; ++count) {
    if (auto ack = client.append_wait("app", {.value = value}); !ack) {
      refused = ack.error();
      return count;
    }
  }
  return kRecordsMax;
}

TEST(Disk, AFullOneRefusesAppendsServesTheRestAndHeals) {
  const SmallDisk disk("96m");
  if (disk.refusal()) {
    GTEST_SKIP() << "mounting a small disk needs root: " << *disk.refusal();
  }
  Node node({.data = disk.path() / "data"});
  ASSERT_TRUE(node.start()) << node.errors();
  const auto client = connect(node);
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->create_stream("app", {.shards = 1}));
  ASSERT_TRUE(client->append_wait("app", {.value = to_bytes("before")}));

  ASSERT_NO_FATAL_FAILURE(fill_up(disk.path() / "filler"));
  std::optional<Error> refused;
  const std::uint64_t accepted = append_until_refused(*client, refused);
  ASSERT_TRUE(refused.has_value()) << "a full disk refuses nothing";
  EXPECT_EQ(refused->code(), Errc::kNoSpace) << refused->describe();

  // Reads, descriptions and trims go on.
  const auto reading = node.logctl({"read", "-o", "cat", "app"});
  EXPECT_EQ(reading.exit_code, 0) << reading.err;
  EXPECT_THAT(reading.out, HasSubstr("before\n"));
  const auto trimmed = client->trim("app", ShardNumber(0), Offset(accepted / 2));
  EXPECT_TRUE(trimmed) << trimmed.error().describe();

  // With room again the next append goes through, without a restart.
  std::filesystem::remove(disk.path() / "filler");
  auto patient = Client::connect({.endpoints = {node.endpoint()}, .append_deadline = kPatience});
  ASSERT_TRUE(patient) << patient.error().describe();
  const auto after = (*patient)->append_wait("app", {.value = to_bytes("after")});
  EXPECT_TRUE(after) << after.error().describe();
  fmt::print("full disk: {} records of 64 KiB went in, then: {}; it healed by itself\n", accepted,
             refused->describe());

  node.kill();
  ASSERT_TRUE(node.start()) << node.errors();
  EXPECT_THAT(node.logctl({"read", "-o", "cat", "app"}).out, HasSubstr("after\n"));
}

// Runs logd so that its n-th call of `call` fails with EIO; appends until logd stops; checks that
// every acked record is there after a restart on a sound disk.
void expect_no_ack_depends_on_a_failed(std::string_view call, int nth) {
  SCOPED_TRACE(fmt::format("{} number {}", call, nth));
  const TemporaryDirectory data;
  Ledger ledger(1);
  {
    // -D: logd itself is the child, so that it is what is waited for and killed.
    Node node({.data = data.path() / "data",
               .under = {"/usr/bin/strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e",
                         fmt::format("trace={}", call), "-e",
                         fmt::format("inject={}:error=EIO:when={}+", call, nth)}});
    if (!node.start()) {
      return;  // it failed before it served anybody
    }
    const auto client = connect(node);
    if (client == nullptr || !client->create_stream("app", {.shards = 1})) {
      return;
    }
    constexpr int kAppendsMax = 2000;
    for (int i = 0; i < kAppendsMax; ++i) {
      const RecordName name = ledger.begin(0, 1).value();
      const auto ack = client->append_wait("app", {.value = to_bytes(value_of(name))});
      ledger.end(name, ack);
      if (!ack) {
        break;
      }
    }
    const auto ending = node.process().wait();
    ASSERT_TRUE(ending.has_value()) << "logd goes on although its disk fails";
    EXPECT_NE(ending->exit_code, 0);
    EXPECT_THAT(node.errors(), HasSubstr("docs/operating/disk-failure.md"));
  }
  Node node({.data = data.path() / "data"});
  ASSERT_TRUE(node.start()) << node.errors();
  const auto client = connect(node);
  ASSERT_NE(client, nullptr);
  const auto tail =
      client->tail({.streams = {"app"}, .start = {.kind = TailStart::Kind::kEarliest}});
  ASSERT_TRUE(tail) << tail.error().describe();
  Audit audit(ledger);
  while (true) {
    const auto item = (*tail)->next(kPatience);
    ASSERT_TRUE(item) << item.error().describe();
    if (std::holds_alternative<Tail::End>(*item)) {
      break;
    }
    ASSERT_TRUE(std::holds_alternative<ReadRecord>(*item));
    audit.observe(std::get<ReadRecord>(*item));
  }
  audit.finish();
  EXPECT_EQ(audit.counts(), Audit::Counts{.read = audit.counts().read}) << audit.complaints();
  fmt::print("{} {} fails with EIO: {} acked, {} lost\n", call, nth, ledger.totals().acked,
             audit.counts().lost);
}

TEST(Disk, AFailedFlushIsFatalAndNothingAckedIsLost) {
  if (::access("/usr/bin/strace", X_OK) != 0) {
    GTEST_SKIP() << "strace is not installed";
  }
  const ProcessOptions probe{.command = {"/usr/bin/strace", "-qq", "-o", "/dev/null", "/bin/true"}};
  if (run(probe).exit_code != 0) {
    GTEST_SKIP() << "strace may not trace here";
  }
  for (const int nth : {1, 40, 120}) {
    ASSERT_NO_FATAL_FAILURE(expect_no_ack_depends_on_a_failed("fdatasync", nth));
  }
  ASSERT_NO_FATAL_FAILURE(expect_no_ack_depends_on_a_failed("pwrite64", 150));
}

}  // namespace
}  // namespace lignum::cluster
