#pragma once

// Damage of what a node keeps beside its logs: who it is, its terms and votes, and the lists of its
// segments.
//
// All of it is written twice, so that one bad copy costs nothing: a start, or the next change,
// writes it anew. Within what is promised no copy is struck while the other one is bad, and the
// terms and votes only where nothing of them is on its way to the disk, because a torn write may
// cost two copies by itself (storage/hard_state_file.h). Beyond that any copy may go, and whoever
// runs the node may do what he must not: remove files, cut them, or put one where another belongs.
//
// Deterministic.

#include <string_view>

#include "jepsen/sim/sim_node.h"
#include "raft/random.h"

namespace lignum::jepsen {

// Strikes one of the files of `node` once, up or down. Says how; empty: there was no place.
std::string_view strike_node_file(SimNode& node, Random& random);
// Of those that are kept twice. As strike_node_file().
std::string_view strike_kept_twice(SimNode& node, Random& random);
// Beyond what is promised; `other` is another node. As strike_node_file().
std::string_view strike_beyond(SimNode& node, const SimNode& other, Random& random);

}  // namespace lignum::jepsen
