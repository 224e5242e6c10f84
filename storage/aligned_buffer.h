#pragma once

// Bytes whose address suits direct writes.

#include <algorithm>
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

// A buffer of whole blocks at a block-aligned address. Owns its memory; movable; one thread at a
// time.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Filled with zeros; rounded up to whole blocks.
  explicit AlignedBuffer(std::size_t bytes) : AlignedBuffer(for_overwrite(bytes)) {
    std::fill_n(memory_.get(), size_, std::byte{0});
  }
  // The same with whatever the memory holds: its owner writes every byte that it uses.
  [[nodiscard]] static AlignedBuffer for_overwrite(std::size_t bytes) {
    AlignedBuffer buffer;
    buffer.size_ = round_up_to_block(bytes);
    if (buffer.size_ != 0) {
      buffer.memory_.reset(new (std::align_val_t{kBlockBytes}) std::byte[buffer.size_]);
    }
    return buffer;
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
