#pragma once

// Runs a script of the oracle against a world of this project's cores, and says how their state
// compares. One thread.

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/conformance/datadriven.h"
#include "tests/conformance/golden.h"
#include "tests/support/raft_world.h"
#include "tests/support/world_script.h"

namespace lignum::conformance {

// What the log of a host holds, in the oracle's terms and kinds; also entries that the core has
// accepted and not yet handed over.
std::vector<GoldenEntry> entries_of(const world::RaftHost& host);
// What its disk holds.
std::vector<GoldenEntry> durable_entries_of(const world::RaftHost& host);
std::string describe(const GoldenEntry& entry);

// Role, term, vote and log of every node right after a directive; empty where they agree.
std::string compare_state(world::RaftWorld& world, const GoldenDirective& golden);
// Role, term, leader, commit, log and configuration of every node at rest. kAnywhere: the log may
// begin elsewhere, since what one core sends as entries the other may send within a snapshot.
enum class LogStart : std::uint8_t { kSame, kAnywhere };
std::string compare_settled(world::RaftWorld& world, const GoldenDirective& golden, LogStart start);
// The answers that scripts print.
std::string compare_raft_log(world::RaftWorld& world, const Block& block);
std::string compare_raft_state(world::RaftWorld& world, const Block& block);
// `flow`: also next, and what is paused.
enum class StatusDetail : std::uint8_t { kState, kFlow };
std::string compare_status(world::RaftWorld& world, const Block& block, StatusDetail detail);

// How scripts of the oracle are read: options, terms and refusals as there.
world::ScriptSettings oracle_settings(world::Taking taking);

// Seeds that give a node the election timeout which the script sets, found by trying.
std::map<world::Node, std::uint64_t> seeds_for(std::span<const Block> blocks, world::Taking taking);

}  // namespace lignum::conformance
