#include "storage/segment_preparation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/manifest.h"

namespace lignum::storage {
namespace {

constexpr std::size_t kBytes = std::size_t{16} << 20;
constexpr std::size_t kFlush = std::size_t{32} << 10;

// A preparation whose pieces run when the test says so.
class Bench {
 public:
  Bench() {
    auto manifest = ManifestFile::create(*directory_, {.group = GroupId(1),
                                                       .incarnation = GroupIncarnation(1),
                                                       .truncation = 0,
                                                       .next_segment = SegmentId(2),
                                                       .segments = {}});
    EXPECT_TRUE(manifest.has_value());
    preparation = std::make_shared<SegmentPreparation>(
        *directory_, std::move(*manifest), runner_,
        SegmentPreparation::Plan{.id = SegmentId(1),
                                 .bytes = kBytes,
                                 .blocks = SegmentPreparation::Blocks::kZeroed,
                                 .free_bytes_min = 0,
                                 .file_name = "1.seg"},
        [this](Result<void> outcome) { ended = std::move(outcome); });
  }

  // False: nothing waits for the disk.
  bool run_one() {
    if (jobs_.empty()) return false;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    const auto before = size();
    auto outcome = job.work();
    largest_piece = std::max(largest_piece, size() - before);
    job.done(std::move(outcome));
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }
  [[nodiscard]] std::size_t size() const {
    for (const auto& file : disk_.files()) {
      if (file.path == "1.seg") return file.bytes;
    }
    return 0;
  }
  jepsen::SimDisk& disk() { return disk_; }

  std::shared_ptr<SegmentPreparation> preparation;
  std::optional<Result<void>> ended;
  std::size_t largest_piece = 0;

 private:
  struct Job {
    std::move_only_function<Result<void>()> work;
    std::move_only_function<void(Result<void>)> done;
  };
  jepsen::SimDisk disk_;
  std::unique_ptr<Directory> directory_ = disk_.root();
  std::deque<Job> jobs_;
  BackgroundRunner runner_ = [this](auto work, auto done) {
    jobs_.push_back({std::move(work), std::move(done)});
  };
};

TEST(SegmentPreparation, AnIdleLogGetsItInSmallPieces) {
  Bench bench;
  bench.preparation->start(false);
  bench.run_all();
  ASSERT_TRUE(bench.ended && bench.ended->has_value());
  EXPECT_EQ(bench.size(), kBytes);
  EXPECT_LE(bench.largest_piece, SegmentPreparation::kPieceIdle);
  EXPECT_NE(bench.preparation->take_writer(), nullptr);
  EXPECT_NE(bench.preparation->take_reader(), nullptr);
}

TEST(SegmentPreparation, WhileFlushesAreOutEachLetsOnePieceFollow) {
  Bench bench;
  bench.preparation->start(true);
  bench.run_all();
  EXPECT_EQ(bench.size(), 0U);
  for (int flushes = 0; flushes < 3; ++flushes) {
    bench.preparation->on_flushed(kFlush, kBytes, true);
    ASSERT_TRUE(bench.run_one());
    EXPECT_FALSE(bench.run_one()) << "a second piece beside a flush";
  }
  EXPECT_GT(bench.size(), 0U);
  EXPECT_LE(bench.largest_piece, SegmentPreparation::kPieceMin);
}

TEST(SegmentPreparation, ItIsReadyBeforeTheRoomIsUsed) {
  for (const std::size_t room : {kBytes / 4, kBytes / 2, kBytes}) {
    Bench bench;
    bench.preparation->start(true);
    bench.run_all();
    std::size_t left = room;
    while (!bench.ended && left >= kFlush) {
      left -= kFlush;
      bench.preparation->on_flushed(kFlush, left, true);
      bench.run_all();
    }
    EXPECT_TRUE(bench.ended && bench.ended->has_value()) << "room of " << room;
    EXPECT_LT(bench.largest_piece, kBytes / 16) << "room of " << room;
  }
}

TEST(SegmentPreparation, WhoWaitsForItGetsItWithoutPause) {
  Bench bench;
  bench.preparation->start(true);
  bench.run_all();
  bench.preparation->hurry();
  bench.run_all();
  ASSERT_TRUE(bench.ended && bench.ended->has_value());
  EXPECT_EQ(bench.largest_piece, SegmentPreparation::kPieceMax);
}

TEST(SegmentPreparation, AFullDiskEndsItAndTakesBackWhatWasWritten) {
  Bench bench;
  bench.preparation->start(false);
  ASSERT_TRUE(bench.run_one());
  bench.disk().set_capacity(kBytes / 2);
  bench.run_all();
  ASSERT_TRUE(bench.ended.has_value());
  ASSERT_FALSE(bench.ended->has_value());
  EXPECT_EQ(bench.ended->error().code(), Errc::kNoSpace);
  EXPECT_EQ(bench.size(), 0U);
  bench.preparation->on_flushed(kFlush, kBytes, false);
  bench.preparation->hurry();
  EXPECT_FALSE(bench.run_one()) << "it goes on after its end";
}

TEST(SegmentPreparation, OneThatIsAbandonedWritesNoMore) {
  Bench bench;
  bench.preparation->start(false);
  ASSERT_TRUE(bench.run_one());
  ASSERT_TRUE(bench.run_one());
  const auto before = bench.size();
  bench.preparation->abandon();
  // The piece that was on its way.
  EXPECT_TRUE(bench.run_one());
  EXPECT_FALSE(bench.run_one());
  EXPECT_GT(bench.size(), before);
  EXPECT_LT(bench.size(), kBytes / 2);
  EXPECT_FALSE(bench.ended.has_value());
}

}  // namespace
}  // namespace lignum::storage
