// `logctl verify` on what a real logd leaves behind.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/cluster/node.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kNotFound = 3;
constexpr int kUnavailable = 5;
constexpr int kLocalTrouble = 7;

class Verify : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.start()) << node_.errors();
    ASSERT_EQ(node_.logctl({"streams", "create", "app", "--shards", "4"}).exit_code, 0);
    std::string lines;
    for (int i = 0; i < 20000; ++i) lines += fmt::format("line {} of a log that is long\n", i);
    ASSERT_EQ(node_.logctl({"append", "app"}, lines).exit_code, 0);
  }

  [[nodiscard]] RunResult verify(std::vector<std::string> flags = {}) const {
    std::vector<std::string> words = {"verify", node_.data().string()};
    words.insert(words.end(), flags.begin(), flags.end());
    return node_.logctl(words);
  }

  // The largest segment there is: the one with the records.
  [[nodiscard]] fs::path segment() const {
    fs::path largest;
    std::size_t filled = 0;
    for (const auto& file : fs::recursive_directory_iterator(node_.data() / "groups")) {
      if (file.path().extension() != ".seg") continue;
      const std::string bytes = read_file(file.path());
      const std::size_t last = bytes.find_last_not_of('\0');
      if (last != std::string::npos && last > filled) {
        filled = last;
        largest = file.path();
      }
    }
    return largest;
  }

  [[nodiscard]] std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> files;
    for (const auto& file : fs::recursive_directory_iterator(node_.data())) {
      if (file.is_regular_file()) files[file.path().string()] = read_file(file.path());
    }
    return files;
  }

  Node node_;
};

void flip(const fs::path& file, std::size_t byte) {
  std::string bytes = read_file(file);
  bytes.at(byte) = static_cast<char>(bytes.at(byte) ^ 4);
  write_file(file, bytes);
}

TEST_F(Verify, ADirectoryOfAStoppedNodeIsWhole) {
  ASSERT_TRUE(node_.terminate().has_value());
  const auto result = verify();
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, HasSubstr("whole"));
  EXPECT_THAT(result.err, HasSubstr("with 20000 records"));
}

TEST_F(Verify, ADirectoryOfAKilledNodeIsWholeToo) {
  node_.kill();
  const auto result = verify();
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.err, HasSubstr("with 20000 records"));
}

TEST_F(Verify, AFlippedByteIsNamedAndNothingIsChanged) {
  ASSERT_TRUE(node_.terminate().has_value());
  const fs::path hurt = segment();
  flip(hurt, 5000);
  const auto before = contents();
  const auto result = verify();
  EXPECT_EQ(result.exit_code, kLocalTrouble) << result.err;
  const std::string name = fs::relative(hurt, node_.data()).string();
  EXPECT_THAT(result.out, HasSubstr("damage    " + name + " byte "));
  EXPECT_THAT(result.err, HasSubstr("DAMAGED, in 1 place"));
  EXPECT_EQ(contents(), before);
}

TEST_F(Verify, ADamagedDatabaseIsNamed) {
  ASSERT_TRUE(node_.terminate().has_value());
  flip(node_.data() / "state" / "CURRENT", 3);
  const auto before = contents();
  const auto result = verify();
  EXPECT_EQ(result.exit_code, kLocalTrouble);
  EXPECT_THAT(result.out, HasSubstr("damage    state: the state database does not open"));
  EXPECT_EQ(contents(), before);
}

TEST_F(Verify, TheMapTellsWhatBytesAreFor) {
  ASSERT_TRUE(node_.terminate().has_value());
  const auto text = verify({"--map"});
  EXPECT_EQ(text.exit_code, 0);
  const std::string name = fs::relative(segment(), node_.data()).string();
  EXPECT_THAT(text.out, HasSubstr(name + " ("));
  EXPECT_THAT(text.out, HasSubstr("           0 - 4095         header\n        4096 - "));
  EXPECT_THAT(text.out, HasSubstr(" % of all but the zero tails"));
  const auto json = verify({"--map", "-o", "json"});
  EXPECT_THAT(json.out, HasSubstr(R"("map":[{"byte":0,"bytes":4096,"use":"header"})"));
  EXPECT_THAT(json.out, HasSubstr(R"("whole":true)"));
  EXPECT_THAT(json.out, HasSubstr(R"("records":20000)"));
}

TEST_F(Verify, ARunningNodeIsLeftAlone) {
  const auto result = verify();
  EXPECT_EQ(result.exit_code, kUnavailable);
  EXPECT_THAT(result.err, HasSubstr("a logd is running on it"));
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_EQ(node_.logctl({"read", "app", "-n", "1"}).exit_code, 0);
}

TEST_F(Verify, ACopyWithoutALockFileStaysWithoutOne) {
  ASSERT_TRUE(node_.terminate().has_value());
  fs::remove(node_.data() / "LOCK");
  EXPECT_EQ(verify().exit_code, 0);
  EXPECT_FALSE(fs::exists(node_.data() / "LOCK"));
}

TEST_F(Verify, WhatIsNoDataDirectoryIsNotFoundAndNotMade) {
  const TemporaryDirectory here;
  EXPECT_EQ(node_.logctl({"verify", here.path().string()}).exit_code, kNotFound);
  const fs::path missing = here.path() / "missing";
  const auto result = node_.logctl({"verify", missing.string()});
  EXPECT_EQ(result.exit_code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("no such directory"));
  EXPECT_FALSE(fs::exists(missing));
}

}  // namespace
}  // namespace lignum::cluster
