#pragma once

// A log of several segments, disks on which it is damaged, and its repair from what others have.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_repair.h"
#include "storage/log_survey.h"
#include "storage/segmented_log.h"
#include "tests/storage/log_world.h"

namespace lignum::storage {

using jepsen::SimDisk;

// The same log on as many disks as are asked for: several sealed segments, an active one, a marker.
struct SampleLog {
  SampleLog() {
    LogWorld world(disk->root(), 5);
    EXPECT_TRUE(world.create() && world.open());
    for (int i = 0; i < 90; ++i) {
      world.append(world.random().below(9000));
      if (i % 3 == 0) EXPECT_TRUE(world.flush());
    }
    EXPECT_TRUE(world.flush());
    EXPECT_TRUE(world.log().stage_marker());
    EXPECT_TRUE(world.flush());
    EXPECT_GE(world.log().usage().segments, 3U);
    last = {.id = world.log().last(),
            .chain = world.log().last_chain(),
            .append_time = world.log().last_append_time()};
    model = world.model;
    disk = disk->clone();
  }
  std::unique_ptr<SimDisk> disk = std::make_unique<SimDisk>();
  LogModel model;
  LogMark last;
};

using Source = std::function<Result<std::vector<KeptItem>>(const MissingRange&)>;

// A sound log as a source, in small pieces.
class SoundSource {
 public:
  explicit SoundSource(SimDisk& disk) : world_(disk.root(), 1) { EXPECT_TRUE(world_.open()); }
  Result<std::vector<KeptItem>> operator()(const MissingRange& range) {
    const Index to = range.end ? range.end->index : world_.log().last().index;
    if (range.after.id.index >= to) return std::vector<KeptItem>{};
    TRY_ASSIGN(items, world_.log().read_kept(range.after.id.index, to, piece)());
    if (!items.empty()) return items;
    // The range ends inside of a hole.
    return world_.log().read_kept(range.after.id.index, world_.log().last().index, 1)();
  }
  std::size_t piece = 6000;

 private:
  LogWorld world_;
};

// Runs the repair to its end; a range without an end is filled with what the source has.
inline Result<void> repair(SimDisk& disk, const LogEvidence& evidence, const Source& source) {
  const auto root = disk.root();
  TRY_ASSIGN(repair, LogRepair::begin(*root, log_options(), evidence));
  while (true) {
    TRY_ASSIGN(missing, repair->advance());
    if (!missing) return {};
    TRY_ASSIGN(items, source(*missing));
    if (items.empty()) {
      if (missing->end) return fail(Errc::kNotFound, "nobody has it");
      repair->end_here();
      continue;
    }
    TRY_ASSIGN(added, repair->add(items));
    if (added != LogRepair::Added::kTaken) return fail(Errc::kCorrupt, "it is of no use");
  }
}

// `model`: what the log has to hold, of which some may be trimmed.
inline std::string difference_of(SimDisk& disk, const SampleLog& log, const LogEvidence& evidence,
                                 const LogModel& model) {
  LogWorld world(disk.root(), 1);
  world.model = model;
  world.evidence = evidence;
  if (auto opened = world.open(); !opened) return opened.error().describe();
  if (world.log().last() != log.last.id || world.log().last_chain() != log.last.chain) {
    return "it does not end as it did";
  }
  for (const SimDisk::FileInfo& file : disk.files()) {
    if (file.path != "manifest" && !file.path.ends_with(".seg")) return "left: " + file.path;
  }
  return difference(world.log(), model);
}

inline std::string difference_of(SimDisk& disk, const SampleLog& log,
                                 const LogEvidence& evidence = {}) {
  return difference_of(disk, log, evidence, log.model);
}

inline bool is_whole(SimDisk& disk) {
  const auto root = disk.root();
  const auto survey = LogSurvey::make(*root, log_options(), {});
  return survey && survey->sound();
}

inline std::vector<std::string> segments_of(const SimDisk& disk) {
  std::vector<std::string> paths;
  for (const SimDisk::FileInfo& file : disk.files()) {
    if (file.path.ends_with(".seg")) paths.push_back(file.path);
  }
  return paths;
}

inline LogEvidence evidence_of(const SampleLog& log) {
  return {.index = log.last.id.index, .source = "the checkpoint", .mark = log.last};
}

}  // namespace lignum::storage
