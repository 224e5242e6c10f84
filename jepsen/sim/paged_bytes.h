#pragma once

// The bytes of a simulated file, in pages that copies share until one of them writes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "raft/payload.h"

namespace lignum::jepsen {

// A growable byte array whose copy costs a pointer a page. Pages never written are zero and take no
// memory. One thread at a time.
class PagedBytes {
 public:
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Fills `out` from `position` on; returns how much there was.
  std::size_t read(std::uint64_t position, std::span<std::byte> out) const;
  // Extends with zeros where `position` lies beyond the end.
  void write(std::uint64_t position, Bytes data);
  // Cuts, or extends with zeros.
  void resize(std::uint64_t bytes);

 private:
  static constexpr std::size_t kPageBytes = 4096;
  using Page = std::array<std::byte, kPageBytes>;

  Page& writable_page(std::size_t number);

  std::vector<std::shared_ptr<Page>> pages_;
  std::uint64_t size_ = 0;
};

}  // namespace lignum::jepsen
