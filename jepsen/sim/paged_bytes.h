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

// A growable byte array. A copy shares everything with its original until one of them writes. Pages
// in which nothing but zeros was ever written take no memory. One thread at a time.
class PagedBytes {
 public:
  class Part;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Fills `out` from `position` on; returns how much there was.
  std::size_t read(std::uint64_t position, std::span<std::byte> out) const;
  // Extends with zeros where `position` lies beyond the end.
  void write(std::uint64_t position, Bytes data);
  // Cuts, or extends with zeros.
  void resize(std::uint64_t bytes);

  // The bytes there, as they are now; fewer at the end.
  [[nodiscard]] Part part(std::uint64_t position, std::size_t bytes) const;
  // Writes them where they came from, or into another file.
  void put(const Part& part);

 private:
  static constexpr std::size_t kPageBytes = 4096;
  using Page = std::array<std::byte, kPageBytes>;
  using Pages = std::vector<std::shared_ptr<Page>>;

  [[nodiscard]] const Page* page(std::size_t number) const { return (*pages_)[number].get(); }
  // The list, this one's own.
  Pages& own_pages();
  void write_page(std::size_t number, std::size_t within, Bytes data);

  // Never null.
  std::shared_ptr<Pages> pages_ = std::make_shared<Pages>();
  std::uint64_t size_ = 0;
};

// Some bytes of a PagedBytes, in pages that it shares with it until that is written to again.
class PagedBytes::Part {
 public:
  Part() = default;
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  // As many of the bytes from `at` on as lie in one piece: up to a multiple of a page's size.
  [[nodiscard]] Bytes piece(std::size_t at) const;
  // Of it.
  [[nodiscard]] Part part(std::size_t at, std::size_t bytes) const;

 private:
  friend class PagedBytes;
  std::uint64_t position_ = 0;
  std::size_t size_ = 0;
  // From the one that holds the first byte on.
  Pages pages_;
};

}  // namespace lignum::jepsen
