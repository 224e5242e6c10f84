#include "storage/segment_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"

namespace lignum::storage {

namespace {

constexpr std::size_t kBufferBytesMin = 4 * kBlockBytes;
constexpr std::size_t kSpareBytesMax = std::size_t{2} << 20;

}  // namespace

SegmentWriter::SegmentWriter(std::shared_ptr<File> file, std::uint64_t end, Bytes partial)
    : file_(std::move(file)),
      end_(end),
      taken_end_(end),
      start_(end / kBlockBytes * kBlockBytes),
      buffer_(AlignedBuffer::for_overwrite(kBufferBytesMin)) {
  CHECK(partial.size() == end_ - start_);
  std::copy(partial.begin(), partial.end(), buffer_.span().begin());
}

std::span<std::byte> SegmentWriter::room(std::size_t bytes) {
  const std::size_t used = end_ - start_;
  if (buffer_.size() < used + bytes) {
    auto larger = AlignedBuffer::for_overwrite(std::max(used + bytes, 2 * buffer_.size()));
    std::copy_n(buffer_.bytes().begin(), used, larger.span().begin());
    buffer_ = std::move(larger);
  }
  return buffer_.span().subspan(used, bytes);
}

void SegmentWriter::advance(std::size_t bytes) { end_ += bytes; }

BlockWrite SegmentWriter::take() {
  const std::size_t used = end_ - start_;
  const std::size_t partial = used % kBlockBytes;
  AlignedBuffer next = spare_.size() != 0 ? std::exchange(spare_, AlignedBuffer())
                                          : AlignedBuffer::for_overwrite(kBufferBytesMin);
  std::fill_n(buffer_.span().begin() + static_cast<std::ptrdiff_t>(used),
              round_up_to_block(used) - used, std::byte{0});
  std::copy_n(buffer_.bytes().begin() + static_cast<std::ptrdiff_t>(used - partial), partial,
              next.span().begin());
  BlockWrite write{.file = file_,
                   .position = start_,
                   .buffer = std::exchange(buffer_, std::move(next)),
                   .bytes = round_up_to_block(used)};
  start_ += used - partial;
  taken_end_ = end_;
  return write;
}

void SegmentWriter::give_back(AlignedBuffer buffer) {
  if (buffer.size() <= kSpareBytesMax && buffer.size() > spare_.size()) spare_ = std::move(buffer);
}

}  // namespace lignum::storage
