#pragma once

// What goes wrong in a simulated run, and when.
//
// Each kind strikes again and again, at intervals drawn around its mean; a kind without a mean
// never does. When the n-th strike of a kind falls, on which node, and how hard, follows from the
// seed alone and not from what else happens: so strikes can be left out one by one, and the rest
// stay what they were (shrink.h). Only strikes at leaders look for whoever leads then.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/sim/churn.h"
#include "jepsen/sim/damage.h"
#include "jepsen/sim/losses.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/sim_pools.h"
#include "jepsen/sim/world.h"
#include "raft/random.h"

namespace lignum::jepsen {

// The n-th strike of a kind.
struct StrikeId {
  std::size_t kind = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const StrikeId&, const StrikeId&) = default;
};

// One that fell.
struct StrikeRecord {
  StrikeId id;
  std::string_view what;
  Moment at = 0;
  HostNumber node = 0;
};

// Mean time between two strikes of a kind on the whole cluster; 0: never.
struct FaultPlan {
  // Nodes.
  Moment power_cut = 0;
  Moment power_cut_in_call = 0;  // in the middle of the next disk calls
  Moment kill = 0;
  Moment stop = 0;
  Moment pause = 0;
  // The leader of a group is cut off from the other nodes, not from the clients, and comes back at
  // the moment in which whoever leads by then dies.
  Moment depose = 0;
  // Groups (churn.h).
  Moment members = 0;
  Moment transfer = 0;
  // Disks.
  // How long disk work takes while things go wrong.
  DiskPace pace;
  Moment slow_disk = 0;
  Moment disk_error = 0;  // a call fails
  // Only calls for paths that contain this, until they come; empty: any.
  std::string_view disk_error_part;
  Moment disk_full = 0;
  // Bytes at rest, of which a majority of others have good copies (damage.h).
  Moment damage = 0;
  // Of what is kept twice beside the logs, one copy at a time (node_files.h); where there is other
  // damage, the ends of logs, too.
  Moment files = 0;
  // Also of images of the last node. Not with nodes that are held down at the end.
  bool images = false;
  // Of any number of copies: then groups may be lost, but never lie.
  bool beyond = false;
  // Also what looks like a torn write, which nothing can tell from one: what goes with it is lost
  // in silence. For tests of the checks.
  bool unproven = false;
  // A disk is lost as a whole, where the groups can bear it (losses.h); until the end whoever its
  // node has become takes the place of the member that is lost. Not with nodes that are held down
  // at the end.
  Moment wipe = 0;
  SimNode::Comeback comeback = SimNode::Comeback::kAnotherMember;
  // Clocks.
  Moment clock_jump = 0;
  Moment clock_drift = 0;
  // Links.
  Moment partition = 0;
  Moment clog = 0;
  // How long a node stays down or paused, a link cut, a disk slow.
  Moment lasts_least = 5'000;
  Moment lasts_most = 3'000'000;
  // Of restarts, per million: the state store is lost; the disk dies again during recovery; a call
  // of the disk fails.
  std::uint32_t lose_state_rate = 0;
  std::uint32_t crash_in_recovery_rate = 0;
  std::uint32_t error_in_recovery_rate = 0;
  // Only these strikes fall, where it is set.
  std::optional<std::set<StrikeId>> only{};

  // At the end every node is made a voter of every group again.
  [[nodiscard]] bool changes_members() const { return members > 0 || wipe > 0; }
};

class Faults {
 public:
  // Nodes and network outlive it.
  Faults(World& world, SimNetwork& network, std::vector<SimNode*> nodes, const FaultPlan& plan);

  void begin();
  // A start is about to fail, perhaps: one of its calls of the disk will.
  void fail_while_starting(SimNode& node);
  // No more of it: everything is healed, and what is down starts, but for the first `held` nodes of
  // a drawn order: those go down until release().
  void end(std::size_t held);
  void release();
  // A node went down by itself, or was put down: it starts again after a while.
  void restart_later(SimNode& node);
  [[nodiscard]] const std::vector<StrikeRecord>& struck() const { return struck_; }
  // What was damaged at rest is whole again; if not, `where` says what is not.
  [[nodiscard]] bool healed(std::string& where) const {
    return plan_.damage == 0 || damage_.healed(where);
  }

 private:
  // One kind of fault; faults.cc has the list.
  struct Kind;
  static const std::vector<Kind>& kinds();

  void plan_next(std::size_t kind, std::uint64_t number);
  void strike(StrikeId id);
  [[nodiscard]] Moment draw_span() { return draw_span(random_); }
  [[nodiscard]] Moment draw_span(Random& random) const;
  [[nodiscard]] CrashImage draw_image();
  // A call that will fail: one of the next ones, or the next of its kind on some file.
  [[nodiscard]] DiskFault draw_disk_fault(Random& random, std::uint64_t calls_most) const;

  void cut_power(SimNode& node);
  void cut_power_in_call(SimNode& node);
  void kill(SimNode& node);
  void stop(SimNode& node);
  void pause(SimNode& node);
  void depose(SimNode& node);
  void change_members(SimNode& node);
  void transfer(SimNode& node);
  void slow_disk(SimNode& node);
  void disk_error(SimNode& node);
  void disk_full(SimNode& node);
  void damage(SimNode& node);
  void damage_files(SimNode& node);
  void strike_end(SimNode& node, Random& random);
  void wipe(SimNode& node);
  void replace_lost();
  void jump_clock(SimNode& node);
  void drift_clock(SimNode& node);
  void partition(SimNode& node);
  void clog(SimNode& node);

  World& world_;
  SimNetwork& network_;
  const std::vector<SimNode*> nodes_;
  const FaultPlan plan_;
  Losses losses_;
  Churn churn_;
  Damage damage_;
  // Of the strike that is falling.
  Random random_;
  Random restarts_;
  Random recoveries_;
  Random replacements_;
  // Of each kind: when it strikes next.
  std::vector<Random> schedules_;
  std::vector<StrikeRecord> struck_;
  std::set<HostNumber> held_;
  // Nodes whose logs lose their ends before they start again; what they then still know of them
  // lies in the state store.
  std::set<HostNumber> ends_struck_;
  std::set<HostNumber> stores_kept_;
  bool striking_ = false;
};

}  // namespace lignum::jepsen
