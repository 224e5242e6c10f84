#pragma once

// The write end of the active segment: frames gather in whole blocks until a flush takes them.
//
// A part of SegmentedLog; its lane only. The last block of a flush is usually partial: it is
// written padded with zeros, and written again, longer, with the next flush. Its flushed bytes are
// the same in both images, so a crash between, whatever sectors it keeps, cannot hurt them.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "raft/payload.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"

namespace lignum::storage {

// One write: `bytes` whole blocks at `position`.
struct BlockWrite {
  std::shared_ptr<File> file;
  std::uint64_t position = 0;
  AlignedBuffer buffer;
  std::size_t bytes = 0;
};

class SegmentWriter {
 public:
  // Continues at `end`; `partial` holds the file's bytes from the start of end's block up to end.
  SegmentWriter(std::shared_ptr<File> file, std::uint64_t end, Bytes partial);

  // Where the next frame begins.
  [[nodiscard]] std::uint64_t end() const { return end_; }
  // Bytes that no take() has taken.
  [[nodiscard]] std::size_t pending() const { return end_ - taken_end_; }
  [[nodiscard]] bool dirty() const { return pending() != 0; }
  [[nodiscard]] const std::shared_ptr<File>& file() const { return file_; }

  // Room for a frame at end(), valid until the next call; the caller writes every byte of it, and
  // advance() makes it part of the segment.
  [[nodiscard]] std::span<std::byte> room(std::size_t bytes);
  void advance(std::size_t bytes);
  // Everything staged, as one write; the partial block stays staged too.
  [[nodiscard]] BlockWrite take();
  // Takes a written buffer back, so that a busy log neither asks for memory nor grows a small
  // buffer at every flush. Keeps one, of kSpareBytesMax at most.
  void give_back(AlignedBuffer buffer);
  // An idle log holds no memory that it does not need.
  void drop_spare() { spare_ = AlignedBuffer(); }

 private:
  std::shared_ptr<File> file_;
  std::uint64_t end_;
  std::uint64_t taken_end_;
  // Position of the first byte of buffer_, a multiple of the block.
  std::uint64_t start_;
  AlignedBuffer buffer_;
  AlignedBuffer spare_;
};

}  // namespace lignum::storage
