#pragma once

// A whole data directory on a simulated disk, and what the offline checker says of it.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"
#include "storage/scrub.h"
#include "storage/scrub_report.h"
#include "storage/segmented_log.h"
#include "storage/snapshot_image.h"
#include "tests/storage/log_world.h"

namespace lignum::storage {

inline constexpr std::uint32_t kWorldGroup = 3;
inline constexpr const char* kWorldLog = "groups/3";

// A cluster id for which the group of LogWorld has the incarnation that LogWorld gives it.
inline ClusterId world_cluster() {
  ClusterId cluster;
  cluster.bytes[0] = std::byte{77 ^ (kWorldGroup + 1)};
  return cluster;
}

struct Seen final : ScrubVisitor {
  std::map<std::string, std::vector<ByteRange>> maps;
  std::vector<Finding> findings;

  void on_file(const std::string& path, const std::vector<ByteRange>& map) override {
    EXPECT_TRUE(maps.emplace(path, map).second) << path << " is told twice";
  }
  void on_finding(const Finding& finding) override { findings.push_back(finding); }

  // The first finding that covers this byte.
  [[nodiscard]] const Finding* naming(std::string_view path, std::uint64_t byte) const {
    for (const Finding& finding : findings) {
      if (finding.path == path && byte >= finding.byte && byte < finding.byte + finding.bytes) {
        return &finding;
      }
    }
    return nullptr;
  }
  [[nodiscard]] const Finding* naming(std::string_view path) const {
    for (const Finding& finding : findings) {
      if (finding.path == path) return &finding;
    }
    return nullptr;
  }
  [[nodiscard]] ByteUse use_of(const std::string& path, std::uint64_t byte) const {
    for (const ByteRange& range : maps.at(path)) {
      if (byte >= range.begin && byte < range.end) return range.use;
    }
    ADD_FAILURE() << path << " byte " << byte << " is not in the map";
    return ByteUse::kUnused;
  }
};

inline void ignore_database(ScrubOptions& options) {
  options.check_database = [](Directory&) { return Result<void>(); };
}

// Identity, votes, four groups, of which the last is a LogWorld with two images.
class ScrubWorld {
 public:
  ScrubWorld() {
    const auto root = disk_->root();
    make_node(*root);
    log_ = std::make_unique<LogWorld>(sub("groups", "3"), 5);
    EXPECT_TRUE(log_->open().has_value());
  }

  [[nodiscard]] jepsen::SimDisk& disk() { return *disk_; }
  [[nodiscard]] LogWorld& log() { return *log_; }

  // At least two sealed segments.
  void fill() {
    for (int i = 0; i < 70; ++i) {
      log_->append(log_->random().below(9000));
      if (i % 3 == 0) EXPECT_TRUE(log_->flush().has_value());
    }
    EXPECT_TRUE(log_->flush().has_value());
    EXPECT_GE(log_->log().usage().segments, 3U);
  }
  void mark() {
    EXPECT_TRUE(log_->log().stage_marker());
    EXPECT_TRUE(log_->flush().has_value());
  }
  void write_image(Index applied) {
    const auto directory = sub("images", "3");
    auto writer = ImageWriter::create(*directory, {.group = GroupId(kWorldGroup),
                                                   .incarnation = kLogIncarnation,
                                                   .applied = {.term = Term(1), .index = applied}});
    ASSERT_TRUE(writer.has_value());
    for (int i = 0; i < 9; ++i) {
      EXPECT_TRUE((*writer)->add("key " + std::to_string(i), std::string(20000, 'x')).has_value());
    }
    EXPECT_TRUE((*writer)->finish().has_value());
  }

  static ScrubTotals scrub(jepsen::SimDisk& disk, Seen& seen) {
    ScrubOptions options;
    ignore_database(options);
    const auto totals = scrub_directory(*disk.root(), options, seen);
    EXPECT_TRUE(totals.has_value()) << totals.error().describe();
    return totals.value_or(ScrubTotals());
  }
  ScrubTotals scrub(Seen& seen) { return scrub(*disk_, seen); }

 private:
  std::unique_ptr<Directory> sub(std::string_view parent, std::string_view name) {
    auto above = disk_->root()->open_directory(parent);
    EXPECT_TRUE(above.has_value());
    auto below = (*above)->open_directory(name);
    EXPECT_TRUE(below.has_value());
    return std::move(*below);
  }

  void make_node(Directory& root) {
    const NodeIdentity identity{
        .cluster = world_cluster(), .node = NodeId(1), .incarnation = NodeIncarnation(5)};
    EXPECT_TRUE(store_identity(root, identity).has_value());
    auto votes = HardStateFile::create(root);
    EXPECT_TRUE(votes.has_value());
    for (std::uint32_t number = 0; number <= kWorldGroup; ++number) {
      EXPECT_TRUE((*votes)->store(GroupId(number), {.term = Term(1), .vote = {}}).has_value());
      SegmentedLogOptions options = log_options();
      options.group = GroupId(number);
      options.incarnation = group_incarnation(identity.cluster, options.group);
      const auto directory = sub("groups", std::to_string(number));
      EXPECT_TRUE(SegmentedLog::create(*directory, options).has_value());
    }
  }

  std::unique_ptr<jepsen::SimDisk> disk_ = std::make_unique<jepsen::SimDisk>();
  std::unique_ptr<LogWorld> log_;
};

}  // namespace lignum::storage
