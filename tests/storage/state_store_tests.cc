#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <leveldb/db.h>
#include <leveldb/options.h>
#include <leveldb/slice.h>

#include <cstddef>
#include <cstdio>
#include <expected>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "storage/leveldb_check.h"
#include "storage/leveldb_state_store.h"
#include "storage/memory_state_store.h"
#include "storage/posix_file.h"
#include "storage/state_store.h"
#include "tests/storage/errc_of.h"
#include "tests/storage/proof.h"
#include "tests/storage/temporary_directory.h"

namespace lignum::storage {
namespace {

using Pairs = std::map<std::string, std::string>;

Result<Pairs> all(StateStore& store, std::string_view prefix = "") {
  Pairs pairs;
  TRY(store.scan(prefix, [&](std::string_view key, std::string_view value) -> Result<void> {
    EXPECT_TRUE(pairs.empty() || pairs.rbegin()->first < key) << "in order";
    pairs.emplace(key, value);
    return {};
  }));
  return pairs;
}

void check_contract(StateStore& store) {
  ASSERT_TRUE(store.write({{.key = "a1", .value = "x"}, {.key = "a2", .value = ""}}));
  ASSERT_TRUE(store.write({{.key = "b1", .value = "y"}, {.key = "a1", .value = std::nullopt}}));
  EXPECT_EQ(all(store), (Pairs{{"a2", ""}, {"b1", "y"}}));
  EXPECT_EQ(all(store, "b"), (Pairs{{"b1", "y"}}));
  EXPECT_EQ(all(store, "c"), Pairs());
  ASSERT_TRUE(store.write({{.key = "k", .value = "1"},
                           {.key = "k", .value = std::nullopt},
                           {.key = "k", .value = "2"}}));
  EXPECT_EQ(all(store, "k"), (Pairs{{"k", "2"}}));
  ASSERT_TRUE(store.write({}));
  ASSERT_TRUE(store.drop("a"));
  ASSERT_TRUE(store.drop("nothing"));
  EXPECT_EQ(all(store), (Pairs{{"b1", "y"}, {"k", "2"}}));
  const auto stopped = store.scan("", [](std::string_view, std::string_view) {
    return Result<void>(fail(Errc::kSkew, "enough"));
  });
  EXPECT_EQ(errc_of(stopped), Errc::kSkew);
}

TEST(StateStore, MemoryKeepsTheContract) {
  MemoryStateStore store;
  check_contract(store);
}

TEST(StateStore, LevelDbKeepsTheContractAndItsPairs) {
  const TemporaryDirectory temporary;
  const std::string path = temporary.path() + "/state";
  {
    auto store = LevelDbStateStore::open(path);
    ASSERT_TRUE(store) << store.error().describe();
    check_contract(**store);
    EXPECT_EQ(errc_of(LevelDbStateStore::open(path)), Errc::kLocked);
  }
  {
    auto store = LevelDbStateStore::open(path);
    ASSERT_TRUE(store) << store.error().describe();
    EXPECT_EQ(all(**store), (Pairs{{"b1", "y"}, {"k", "2"}}));
  }
  ASSERT_TRUE(LevelDbStateStore::destroy(path));
  ASSERT_TRUE(LevelDbStateStore::destroy(path));
  EXPECT_EQ(all(**LevelDbStateStore::open(path)), Pairs());
}

// Changes a database behind the adapter's back, with good checksums.
void tamper(const std::string& path, const leveldb::Slice& key, const char* value) {
  leveldb::DB* raw = nullptr;
  ASSERT_TRUE(leveldb::DB::Open({}, path, &raw).ok());
  const std::unique_ptr<leveldb::DB> database(raw);
  ASSERT_TRUE(value != nullptr ? database->Put({}, key, value).ok()
                               : database->Delete({}, key).ok());
}

TEST(StateStore, PairsThatNoWriteLeftAreRefused) {
  const std::pair<const char*, const char*> changes[] = {{"a", "other"},
                                                         {"a", nullptr},
                                                         {"c", "new"},
                                                         {"\xff\xff"
                                                          "digest",
                                                          nullptr}};
  for (const auto& [key, value] : changes) {
    const TemporaryDirectory temporary;
    const std::string path = temporary.path() + "/state";
    ASSERT_TRUE((*LevelDbStateStore::open(path))
                    ->write({{.key = "a", .value = "x"}, {.key = "b", .value = "y"}}));
    tamper(path, key, value);
    EXPECT_EQ(errc_of(LevelDbStateStore::open(path)), Errc::kCorrupt) << key;
  }
}

// A database with two sessions: a table, a log, and what every write() left behind it.
struct Sample {
  TemporaryDirectory directory;
  std::string path = directory.path() + "/state";
  std::vector<Pairs> history = {{}};
};

void fill(Sample& sample) {
  std::mt19937_64 random(9);
  for (int session = 0; session < 2; ++session) {
    auto store = *LevelDbStateStore::open(sample.path);
    for (int batch = 0; batch < 4; ++batch) {
      Pairs pairs = sample.history.back();
      std::vector<StateWrite> writes;
      for (int i = 0; i < 5; ++i) {
        const std::string key = "group-" + std::to_string(random() % 8);
        if (random() % 4 == 0) {
          writes.push_back({.key = key, .value = std::nullopt});
          pairs.erase(key);
        } else {
          const std::string value = "value-" + std::to_string(random());
          writes.push_back({.key = key, .value = value});
          pairs[key] = value;
        }
      }
      ASSERT_TRUE(store->write(writes));
      sample.history.push_back(pairs);
    }
  }
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void replace(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

struct Outcomes {
  std::size_t right = 0;
  std::size_t older = 0;
  std::size_t refused = 0;
};

// Opens a copy with one file changed: the state is one that some write() left, or it is refused.
void judge(const Sample& sample, const std::string& name, const std::optional<std::string>& bytes,
           Outcomes& outcomes) {
  const TemporaryDirectory scratch;
  const std::string path = scratch.path() + "/state";
  std::filesystem::copy(sample.path, path);
  if (bytes) {
    replace(path + "/" + name, *bytes);
  } else {
    std::filesystem::remove(path + "/" + name);
  }
  auto store = LevelDbStateStore::open(path);
  auto pairs = store ? all(**store) : Result<Pairs>(std::unexpected(store.error()));
  if (!pairs) {
    EXPECT_EQ(errc_of(pairs), Errc::kCorrupt) << pairs.error().describe();
    ++outcomes.refused;
    store = fail(Errc::kCorrupt, "closed");
    ASSERT_TRUE(LevelDbStateStore::destroy(path)) << "a damaged database can be dropped";
    ASSERT_TRUE(LevelDbStateStore::open(path)) << "and made anew";
  } else if (*pairs == sample.history.back()) {
    ++outcomes.right;
  } else {
    ++outcomes.older;
    ASSERT_THAT(sample.history, testing::Contains(*pairs)) << "wrong values served";
  }
}

std::vector<std::string> database_files(const Sample& sample) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(sample.path)) {
    const std::string name = entry.path().filename();
    // LevelDB's own protocol of what it did, and its empty lock file.
    if (!name.starts_with("LOG") && name != "LOCK") {
      names.push_back(name);
    }
  }
  return names;
}

TEST(StateStore, NoFlippedByteServesWrongValues) {
  Sample sample;
  fill(sample);
  Outcomes outcomes;
  const std::size_t stride = full_proof() ? 1 : 13;
  for (const std::string& name : database_files(sample)) {
    const std::string good = contents(sample.path + "/" + name);
    for (std::size_t at = 0; at < good.size(); at += stride) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (at % 2 == 0 ? 0x01 : 0xFF));
      SCOPED_TRACE(name + " byte " + std::to_string(at));
      judge(sample, name, bad, outcomes);
      ASSERT_FALSE(testing::Test::HasFailure());
    }
  }
  RecordProperty("right", static_cast<int>(outcomes.right));
  RecordProperty("older", static_cast<int>(outcomes.older));
  RecordProperty("refused", static_cast<int>(outcomes.refused));
  EXPECT_GT(outcomes.refused, 10U);
  std::printf("right %zu, as an earlier write left it %zu, refused %zu\n", outcomes.right,
              outcomes.older, outcomes.refused);
}

TEST(StateStore, NoCutOrMissingFileServesWrongValues) {
  Sample sample;
  fill(sample);
  Outcomes outcomes;
  for (const std::string& name : database_files(sample)) {
    SCOPED_TRACE(name);
    const std::string good = contents(sample.path + "/" + name);
    judge(sample, name, std::nullopt, outcomes);
    for (std::size_t length = 0; length < good.size(); length += full_proof() ? 1 : 29) {
      judge(sample, name, good.substr(0, length), outcomes);
      ASSERT_FALSE(testing::Test::HasFailure()) << "cut to " << length;
    }
  }
}

// Every file and its bytes.
std::map<std::string, std::string> files_in(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(path)) {
    std::ifstream in(file.path(), std::ios::binary);
    files[file.path().filename().string()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

TEST(DatabaseCheck, JudgesAsOpeningDoesAndChangesNothing) {
  const TemporaryDirectory temporary;
  const std::string path = temporary.path() + "/state";
  {
    auto store = LevelDbStateStore::open(path);
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->write({{.key = "a", .value = "x"}, {.key = "b", .value = "y"}}));
  }
  const auto directory = open_posix_directory(path);
  ASSERT_TRUE(directory);
  const auto whole = files_in(path);
  EXPECT_TRUE(check_leveldb(**directory));
  EXPECT_EQ(errc_of(check_leveldb(**directory, 10)), Errc::kTooLarge);
  EXPECT_EQ(files_in(path), whole);
  // A byte of the first record, of which LevelDB has a checksum.
  for (const auto& [name, bytes] : whole) {
    if (!name.ends_with(".log")) continue;
    std::string hurt = bytes;
    hurt.at(20) = static_cast<char>(hurt.at(20) ^ 1);
    std::ofstream(std::filesystem::path(path) / name, std::ios::binary) << hurt;
  }
  const auto damaged = files_in(path);
  EXPECT_EQ(errc_of(check_leveldb(**directory)), Errc::kCorrupt);
  EXPECT_EQ(files_in(path), damaged);
  std::filesystem::remove(path + "/CURRENT");
  EXPECT_EQ(errc_of(check_leveldb(**directory)), Errc::kCorrupt);
}

}  // namespace
}  // namespace lignum::storage
