#pragma once

// A state machine together with the configuration in force at its last applied entry.
//
// Who belongs to a group is decided by its log, so the answer must survive the log's beginning
// being forgotten: it goes wherever the state goes, into checkpoint and image, as one more pair
// under a key that no state machine uses. Owned by a replica, or by the host at boot; called from
// that lane.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/config_history.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "server/group/state_machine.h"
#include "storage/state_store.h"

namespace lignum::server {

class ConfiguredState final : public StateMachine {
 public:
  // Sorts before every key of a state machine.
  static constexpr std::string_view kKey = "!configuration";

  // `first` is in force until an entry or a restored pair says otherwise; `machine` outlives this.
  ConfiguredState(StateMachine& machine, raft::ConfigAt first)
      : machine_(machine), first_(first), config_(std::move(first)) {}

  [[nodiscard]] const raft::ConfigAt& config() const { return config_; }
  // The value of the pair kKey. kCorrupt.
  [[nodiscard]] static Result<raft::ConfigAt> decode(std::string_view value);
  [[nodiscard]] StateMachine& machine() { return machine_; }

  Result<void> apply(const Entry& entry) override;
  [[nodiscard]] std::vector<storage::StateWrite> take_changes() override;
  void for_each(const std::function<void(std::string_view key, std::string_view value)>& visit)
      const override;
  Result<void> restore(std::string_view key, std::string_view value) override;
  void reset() override;

 private:
  [[nodiscard]] std::string record() const;

  StateMachine& machine_;
  raft::ConfigAt first_;
  raft::ConfigAt config_;
  bool changed_ = false;
};

}  // namespace lignum::server
