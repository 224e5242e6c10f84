// A log takes the place of another one's end: what is kept goes over, is checked on its way, and a
// power cut at any call leaves the old log or the new one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"
#include "tests/storage/crash_images.h"
#include "tests/storage/errc_of.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;

// A log with holes, and one that ends on the way there with entries that were never committed.
class Restored {
 public:
  Restored() {
    EXPECT_TRUE(source.create() && source.open());
    for (int round = 0; round < 8; ++round) {
      fill(source, 30);
      if (round == 2) shared = source.log().last().index;
      if (round >= 4) EXPECT_TRUE(source.trim_and_clean());
    }
    EXPECT_GT(source.log().first_index(), shared.next());
  }
  // Makes the follower's log; its disk has no more than that.
  void make_target() {
    EXPECT_TRUE(target.create() && target.open());
    for (const auto& [index, entry] : source.model.entries) {
      if (index > shared) break;
      if (target.log().room(entry.payload.size() + 200) != Room::kReady)
        EXPECT_TRUE(target.flush());
      target.log().append({&entry, 1});
      target.model.entries.insert_or_assign(index, entry);
      EXPECT_TRUE(target.flush());
    }
    target.model.next = source.model.next;
    fill(target, 3);
  }
  static void fill(LogWorld& world, int entries) {
    for (int i = 0; i < entries; ++i) {
      world.append(world.random().below(6000));
      EXPECT_TRUE(world.flush());
    }
  }

  Result<LogMark> place() {
    TRY_ASSIGN(found, source.log().find_mark(target.log().boundaries(64))());
    return found.value_or(LogMark{});
  }
  Result<std::unique_ptr<LogStage>> stage(std::size_t piece) {
    TRY_ASSIGN(after, place());
    auto made = target.log().begin_stage(after);
    const Index to = source.log().last().index;
    while (made->mark().id.index < to) {
      TRY_ASSIGN(items, source.log().read_kept(made->mark().id.index, to, piece)());
      target.log().extend(*made);
      TRY(made->add(items));
    }
    TRY(made->finish());
    return made;
  }
  Result<void> restore(std::size_t piece) {
    TRY_ASSIGN(staged, stage(piece));
    auto job = target.log().take_restore(std::move(staged));
    TRY(job->run());
    target.log().complete_restore(std::move(job));
    return {};
  }

  SimDisk source_disk;
  LogWorld source{source_disk.root(), 7};
  Index shared;
  SimDisk target_disk;
  LogWorld target{target_disk.root(), 8};
};

TEST(LogRestore, WhatIsKeptGoesOverWhateverThePieces) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{9000}, std::size_t{1} << 20}) {
    Restored logs;
    logs.make_target();
    const auto after = logs.place();
    ASSERT_TRUE(after);
    const auto restored = logs.restore(piece);
    ASSERT_TRUE(restored) << restored.error().describe();
    SegmentedLog& log = logs.target.log();
    EXPECT_EQ(log.last(), logs.source.log().last());
    EXPECT_EQ(log.last_chain(), logs.source.log().last_chain());
    EXPECT_EQ(log.last_append_time(), logs.source.log().last_append_time());
    EXPECT_EQ(log.durable(), log.last().index);
    EXPECT_EQ(log.id_at(log.last().index), log.last());
    EXPECT_EQ(difference(log, logs.source.model), "");
    // It goes on, and is opened again.
    logs.target.model = logs.source.model;
    Restored::fill(logs.target, 40);
    EXPECT_EQ(difference(log, logs.target.model), "");
    ASSERT_TRUE(logs.target.open());
    EXPECT_THAT(logs.target.report().remarks, ::testing::IsEmpty());
    EXPECT_EQ(difference(logs.target.log(), logs.target.model), "");
  }
}

TEST(LogRestore, WhatTheReceiverHasIsNotSentAgain) {
  Restored logs;
  logs.make_target();
  // A place inside of a segment of the leader's.
  const auto after = logs.place();
  ASSERT_TRUE(after);
  const auto known = logs.target.log().boundaries(64);
  ASSERT_FALSE(known.empty());
  LogMark other = known.back();
  other.chain.low ^= 1;
  const auto found = logs.source.log().find_mark({other})();
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->has_value()) << "another history";
  for (const auto& [index, entry] : logs.source.model.entries) {
    if (index < logs.source.log().first_index()) continue;
    const LogMark mark{.id = entry.header.id(),
                       .chain = chain_after(entry.header),
                       .append_time = entry.header.append_time};
    const auto here = logs.source.log().find_mark({other, mark})();
    ASSERT_TRUE(here);
    EXPECT_EQ(*here, mark);
  }
}

TEST(LogRestore, ItemsThatDoNotContinueTheChainAreRefused) {
  Restored logs;
  logs.make_target();
  const Index to = logs.source.log().last().index;
  auto items = logs.source.log().read_kept(Index(0), to, std::size_t{1} << 20)();
  ASSERT_TRUE(items);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < items->size(); ++i) {
    std::vector<KeptItem> bad = *items;
    if (bad[i].skip_to) {
      bad[i].skip_to->chain.high ^= 1;
      // A hole at the end is judged by the image.
      if (i + 1 == bad.size()) continue;
    } else {
      std::vector<std::byte> bytes(bad[i].entry.payload.bytes().begin(),
                                   bad[i].entry.payload.bytes().end());
      bytes.back() ^= std::byte{1};
      bad[i].entry.payload = Payload(std::move(bytes));
    }
    auto stage = logs.target.log().begin_stage({});
    logs.target.log().extend(*stage);
    EXPECT_EQ(errc_of(stage->add(bad)), Errc::kCorrupt);
    stage->discard();
    ++refused;
  }
  EXPECT_GT(refused, 10U);
}

TEST(LogRestore, APowerCutAtAnyCallLeavesTheOldLogOrTheNew) {
  std::uint64_t olds = 0;
  std::uint64_t news = 0;
  bool done = false;
  for (std::uint64_t at = 1; !done; at += kSanitized ? 4 : 1) {
    Restored logs;
    logs.make_target();
    logs.target_disk.crash_at(logs.target_disk.operations() + at);
    done = logs.restore(9000).has_value();
    // What was promised with the switch is there from then on.
    for_each_crash_image(logs.target_disk, [&](std::unique_ptr<SimDisk> disk) {
      SCOPED_TRACE("cut in call " + std::to_string(at));
      LogWorld next(disk->root(), 1);
      const auto opened = next.open();
      ASSERT_TRUE(opened) << opened.error().describe();
      const bool is_new = next.log().last() == logs.source.log().last();
      (is_new ? news : olds) += 1;
      EXPECT_TRUE(is_new || !done);
      EXPECT_EQ(difference(next.log(), is_new ? logs.source.model : logs.target.model), "");
      // Nothing is left that the manifest does not list.
      for (const SimDisk::FileInfo& file : disk->files()) {
        EXPECT_TRUE(file.path == "manifest" || file.path.ends_with(".seg")) << file.path;
      }
    });
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(olds, 0U);
  EXPECT_GT(news, 0U);
}

}  // namespace
}  // namespace lignum::storage
