#pragma once

// What a benchmark was promised: which number stands at which offset of which stream. Read back
// afterwards, every promise must be kept, once and in place. Bounded by kEntriesMax; one thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace lignum::cli {

class AckLedger {
 public:
  // Beyond this many acks it forgets; result() says so.
  static constexpr std::size_t kEntriesMax = std::size_t{32} << 20;

  explicit AckLedger(std::size_t lanes) : lanes_(lanes) {}

  void acknowledged(std::size_t lane, std::uint64_t offset, std::uint64_t number);
  // Read back, in the order of offsets.
  void found(std::size_t lane, std::uint64_t offset, std::optional<std::uint64_t> number);

  struct Result {
    std::uint64_t acknowledged = 0;
    std::uint64_t kept = 0;
    // Promises that were not kept: absent, or another record stands there.
    std::uint64_t broken = 0;
    // Of those that were not checked for lack of room.
    std::uint64_t unchecked = 0;
  };
  // After everything was read back.
  [[nodiscard]] Result result() const;

 private:
  std::vector<std::unordered_map<std::uint64_t, std::uint64_t>> lanes_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t kept_ = 0;
  std::uint64_t unchecked_ = 0;
};

}  // namespace lignum::cli
