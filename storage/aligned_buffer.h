#pragma once

// Bytes whose address suits direct writes.

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "raft/payload.h"
#include "storage/file.h"

namespace lignum::storage {

// The smallest multiple of kBlockBytes that holds `bytes`.
[[nodiscard]] constexpr std::size_t round_up_to_block(std::size_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// A zero-filled buffer of whole blocks at a block-aligned address. Owns its memory; movable; one
// thread at a time.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Rounded up to whole blocks.
  explicit AlignedBuffer(std::size_t bytes) : size_(round_up_to_block(bytes)) {
    if (size_ != 0) {
      memory_.reset(new (std::align_val_t{kBlockBytes}) std::byte[size_]());
    }
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> span() { return {memory_.get(), size_}; }
  [[nodiscard]] Bytes bytes() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, std::align_val_t{kBlockBytes});
    }
  };
  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace lignum::storage
