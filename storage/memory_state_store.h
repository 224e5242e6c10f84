#pragma once

// StateStore in memory, for simulations and tests: an ordered map that survives nothing.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "storage/state_store.h"

namespace lignum::storage {

// One thread at a time. Copyable, so that a test can keep the state of an earlier moment.
class MemoryStateStore final : public StateStore {
 public:
  Result<void> write(const std::vector<StateWrite>& batch) override {
    for (const StateWrite& change : batch) {
      if (change.value) {
        pairs_.insert_or_assign(change.key, *change.value);
      } else {
        pairs_.erase(change.key);
      }
    }
    return {};
  }

  Result<void> scan(std::string_view prefix,
                    const std::function<Result<void>(std::string_view key, std::string_view value)>&
                        visit) override {
    for (auto pair = pairs_.lower_bound(prefix);
         pair != pairs_.end() && pair->first.starts_with(prefix); ++pair) {
      TRY(visit(pair->first, pair->second));
    }
    return {};
  }

  Result<void> drop(std::string_view prefix) override {
    std::erase_if(pairs_, [&](const auto& pair) { return pair.first.starts_with(prefix); });
    return {};
  }

 private:
  std::map<std::string, std::string, std::less<>> pairs_;
};

}  // namespace lignum::storage
