#include "cli/bench/ack_ledger.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace lignum::cli {

void AckLedger::acknowledged(std::size_t lane, std::uint64_t offset, std::uint64_t number) {
  ++acknowledged_;
  if (acknowledged_ - unchecked_ > kEntriesMax) {
    ++unchecked_;
    return;
  }
  lanes_[lane][offset] = number;
}

void AckLedger::found(std::size_t lane, std::uint64_t offset, std::optional<std::uint64_t> number) {
  const auto promise = lanes_[lane].find(offset);
  if (promise == lanes_[lane].end() || promise->second != number) return;
  ++kept_;
  // A second record at this offset would count as broken.
  lanes_[lane].erase(promise);
}

AckLedger::Result AckLedger::result() const {
  return {.acknowledged = acknowledged_,
          .kept = kept_,
          .broken = acknowledged_ - unchecked_ - kept_,
          .unchecked = unchecked_};
}

}  // namespace lignum::cli
