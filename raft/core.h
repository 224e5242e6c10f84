#pragma once

// The consensus of one group as a pure state machine: inputs in, Output out.
//
// A Core is owned by one replica driver and called from its lane only. It never blocks, never
// allocates payload, knows no clock (time is ticks), no thread, no disk and no socket. Whatever it
// wants done stands in the Output that take_output() hands over; output.h states the order in
// which the host must do it. Same calls, same outputs: that is what the simulator rests on.
//
// Today a group has exactly one voter: the core votes for itself durably, appends its no-op and
// commits what its own flush has persisted. The interface is the final one; other replicas'
// messages are refused until replication lands.

#include <memory>

#include "raft/error.h"
#include "raft/options.h"
#include "raft/output.h"

namespace lignum::raft {

// What a replica finds on its disk at boot.
struct Boot {
  ReplicaId self;
  GroupIncarnation group;
  // Already raised to the term of the last entry where that was higher (rules of hard state).
  HardState hard_state;
  // Last entry in the log; index 0 when the log is empty. All of it is durable.
  LogId last;
  // Everything up to here is known to be committed: the state machine's applied mark.
  Index commit;
  std::vector<ReplicaId> voters;
};

class Core {
 public:
  // Precondition: validate(options) is ok.
  Core(const Options& options, Boot boot);
  ~Core();
  Core(Core&&) noexcept;
  Core& operator=(Core&&) noexcept;

  // One tick of the host's timer passed (Options::tick_ms apart). Drives elections.
  void tick();

  // A message from another replica arrived. One that is not for this replica is ignored.
  void step(const Message& message);

  // Appends an entry to the log of the leader and returns its identity; header fields group, index
  // and term are filled in here, everything else by the caller. Fails with kNotLeader (not the
  // leader) or kOverloaded (more than Options::uncommitted_bytes_max are uncommitted).
  Result<LogId> propose(Entry entry);

  // The persist operation named by `token` is durable, and so is every earlier one. Called in
  // token order, once each; anything else is a CHECK.
  void on_persisted(const WriteToken& token);

  // True when take_output() would return something to do.
  [[nodiscard]] bool has_output() const;
  // Hands over what has accumulated since the last call.
  [[nodiscard]] Output take_output();

  [[nodiscard]] Role role() const;
  [[nodiscard]] Term term() const;
  [[nodiscard]] std::optional<ReplicaId> leader() const;
  // Index of the no-op that opened this leadership; none unless leader.
  [[nodiscard]] std::optional<Index> leadership_start() const;
  [[nodiscard]] LogId last() const;
  [[nodiscard]] Index commit() const;
  [[nodiscard]] Index durable() const;

  // Defined in core_state.h, for raft/ alone.
  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace lignum::raft
