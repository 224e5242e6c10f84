// The scripts of the oracle, directive by directive and settled: the hard classes that its README
// names. Where a difference is meant is written in expected_differences.h.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/conformance/datadriven.h"
#include "tests/conformance/expected_differences.h"
#include "tests/conformance/golden.h"
#include "tests/conformance/oracle.h"
#include "tests/conformance/replay.h"
#include "tests/conformance/score.h"
#include "tests/support/raft_host.h"
#include "tests/support/raft_world.h"
#include "tests/support/world_script.h"

namespace lignum::conformance {
namespace {

constexpr std::size_t kDirectives = 558;

struct Script {
  std::string file;
  std::vector<Block> blocks;
  std::vector<GoldenDirective> golden;
};

// A meant difference cannot begin before the first directive that asks for what is done
// differently.
std::size_t first_departure(const Script& script) {
  const auto found = std::ranges::find_if(script.blocks, [](const Block& block) {
    return block.command == "propose-conf-change" || block.command == "forget-leader";
  });
  return static_cast<std::size_t>(found - script.blocks.begin());
}

std::string place_of(const Script& script, std::size_t number) {
  const Block& block = script.blocks[number];
  return block.place + " directive " + std::to_string(number + 1) + " (" + block.command + ")";
}

// Counts the comparison after a directive; `difference` is empty where all is equal.
void count(Score& score, const Script& script, std::size_t number, const std::string& difference) {
  const auto* const expected =
      std::ranges::find(kExpectedDifferences, script.file, &ExpectedDifference::file);
  if (difference.empty()) {
    score.equal();
  } else if (expected != kExpectedDifferences.end() && number >= first_departure(script)) {
    score.expected(script.file + ": " + std::string(expected->reason),
                   place_of(script, number) + difference);
  } else {
    score.unexpected(place_of(script, number) + difference);
  }
}

class OracleScripts : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto directory = oracle_directory();
    if (!directory) {
      GTEST_SKIP() << kOracleAbsent;
    }
    directory_ = *directory;
  }

  std::vector<Script> scripts(std::string_view golden_file) {
    const auto golden = read_golden_scripts(directory_ / golden_file);
    EXPECT_TRUE(golden.has_value()) << golden.error().message();
    std::vector<Script> result;
    for (const auto& [file, directives] : *golden) {
      auto blocks = read_blocks(directory_ / "etcd-interaction" / file);
      EXPECT_TRUE(blocks.has_value()) << file;
      std::erase_if(*blocks, [](const Block& block) { return block.command == "_breakpoint"; });
      EXPECT_EQ(blocks->size(), directives.size()) << file;
      result.push_back({.file = file, .blocks = *std::move(blocks), .golden = directives});
    }
    return result;
  }

  std::filesystem::path directory_;
};

// Runs a script to its end, or up to `end`; calls `after` behind each directive.
void replay(const Script& script, std::size_t end, world::WorldScript& world,
            const std::function<void(std::size_t)>& after) {
  for (std::size_t number = 0; number < end; ++number) {
    EXPECT_EQ(script.blocks[number].command, script.golden[number].command);
    world.run(script.blocks[number]);
    if (after) {
      after(number);
    }
  }
  for (const std::string& violation : world.world().violations()) {
    ADD_FAILURE() << script.file << ": " << violation;
  }
}

world::WorldScript world_for(const Script& script, world::Taking taking) {
  world::ScriptSettings settings = oracle_settings(taking);
  settings.seeds = seeds_for(script.blocks, taking);
  return world::WorldScript(settings);
}

TEST_F(OracleScripts, StateAfterEachDirective) {
  Score score("2c state per directive");
  for (const Script& script : scripts("golden_per_directive.jsonl")) {
    world::WorldScript world = world_for(script, world::Taking::kEager);
    replay(script, script.blocks.size(), world, [&](std::size_t number) {
      count(score, script, number, compare_state(world.world(), script.golden[number]));
    });
  }
  EXPECT_EQ(score.cases(), kDirectives);
  score.judge();
}

void settled(std::span<const Script> scripts, world::Taking taking, Score& score) {
  for (const Script& script : scripts) {
    world::ScriptSettings settings = oracle_settings(taking);
    settings.seeds = seeds_for(script.blocks, taking);
    for (std::size_t number = 0; number < script.blocks.size(); ++number) {
      world::WorldScript world(settings);
      replay(script, number + 1, world, {});
      world.world().settle();
      world.world().check();
      count(
          score, script, number,
          compare_settled(world.world(), script.golden[number],
                          taking == world::Taking::kEager ? LogStart::kSame : LogStart::kAnywhere));
    }
  }
  EXPECT_EQ(score.cases(), kDirectives);
  score.judge();
}

TEST_F(OracleScripts, StateSettled) {
  Score score("2d settled");
  settled(scripts("golden_settled.jsonl"), world::Taking::kEager, score);
}

// The host takes output only when it rests: writes and fetches gather.
TEST_F(OracleScripts, StateSettledWithOutputTakenLate) {
  Score score("2d settled, output taken late");
  settled(scripts("golden_settled.jsonl"), world::Taking::kLazy, score);
}

TEST_F(OracleScripts, AnswersToQueries) {
  Score raft_log("3 raft-log");
  Score raft_state("3 raft-state");
  Score status("3 status");
  for (const Script& script : scripts("golden_per_directive.jsonl")) {
    world::WorldScript world = world_for(script, world::Taking::kEager);
    const bool flow =
        script.file == "replicate_pause.txt" || script.file == "slow_follower_after_compaction.txt";
    replay(script, script.blocks.size(), world, [&](std::size_t number) {
      const Block& block = script.blocks[number];
      if (block.command == "raft-log") {
        count(raft_log, script, number, compare_raft_log(world.world(), block));
      } else if (block.command == "raft-state") {
        count(raft_state, script, number, compare_raft_state(world.world(), block));
      } else if (block.command == "status") {
        count(status, script, number,
              compare_status(world.world(), block,
                             flow ? StatusDetail::kFlow : StatusDetail::kState));
      }
    });
  }
  EXPECT_EQ(raft_log.cases(), 15U);
  EXPECT_EQ(raft_state.cases(), 30U);
  EXPECT_EQ(status.cases(), 18U);
  raft_log.judge();
  raft_state.judge();
  status.judge();
}

}  // namespace
}  // namespace lignum::conformance
