#include "jepsen/sim/paged_bytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "raft/payload.h"

namespace lignum::jepsen {

namespace {

bool all_zeros(Bytes data) {
  return data.front() == std::byte{0} &&
         std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0;
}

}  // namespace

std::size_t PagedBytes::read(std::uint64_t position, std::span<std::byte> out) const {
  if (position >= size_) {
    return 0;
  }
  const auto total =
      static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - position));
  std::size_t done = 0;
  while (done < total) {
    const Page* const found = page(static_cast<std::size_t>((position + done) / kPageBytes));
    const auto within = static_cast<std::size_t>((position + done) % kPageBytes);
    const std::size_t count = std::min(total - done, kPageBytes - within);
    if (found != nullptr) {
      std::memcpy(out.data() + done, found->data() + within, count);
    } else {
      std::memset(out.data() + done, 0, count);
    }
    done += count;
  }
  return total;
}

void PagedBytes::write(std::uint64_t position, Bytes data) {
  if (data.empty()) {
    return;
  }
  if (position + data.size() > size_) {
    resize(position + data.size());
  }
  std::size_t done = 0;
  while (done < data.size()) {
    const auto within = static_cast<std::size_t>((position + done) % kPageBytes);
    const std::size_t count = std::min(data.size() - done, kPageBytes - within);
    write_page(static_cast<std::size_t>((position + done) / kPageBytes), within,
               data.subspan(done, count));
    done += count;
  }
}

void PagedBytes::resize(std::uint64_t bytes) {
  const auto within = static_cast<std::size_t>(bytes % kPageBytes);
  const auto count = static_cast<std::size_t>((bytes + kPageBytes - 1) / kPageBytes);
  if (count != pages_->size()) own_pages().resize(count);
  if (bytes < size_ && within != 0 && page(count - 1) != nullptr) {
    // What was cut off must read as zeros when the file grows again.
    constexpr Page kZeros{};
    write_page(count - 1, within, Bytes(kZeros).subspan(within));
  }
  size_ = bytes;
}

PagedBytes::Part PagedBytes::part(std::uint64_t position, std::size_t bytes) const {
  Part part;
  part.position_ = position;
  if (position >= size_ || bytes == 0) return part;
  part.size_ = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size_ - position));
  const auto first = static_cast<std::ptrdiff_t>(position / kPageBytes);
  const auto last = static_cast<std::ptrdiff_t>((position + part.size_ - 1) / kPageBytes);
  part.pages_.assign(pages_->begin() + first, pages_->begin() + last + 1);
  return part;
}

void PagedBytes::put(const Part& part) {
  if (part.size() == 0) return;
  if (part.position() + part.size() > size_) resize(part.position() + part.size());
  std::size_t number = static_cast<std::size_t>(part.position() / kPageBytes);
  for (std::size_t at = 0; at < part.size(); ++number) {
    const Bytes piece = part.piece(at);
    if (piece.size() == kPageBytes) {
      own_pages()[number] = part.pages_[number - part.position() / kPageBytes];
    } else {
      write_page(number, (part.position() + at) % kPageBytes, piece);
    }
    at += piece.size();
  }
}

Bytes PagedBytes::Part::piece(std::size_t at) const {
  static constexpr Page kZeros{};
  const std::uint64_t begin = position_ + at;
  const auto within = static_cast<std::size_t>(begin % kPageBytes);
  const auto& page = pages_[static_cast<std::size_t>(begin / kPageBytes - position_ / kPageBytes)];
  return Bytes(page ? *page : kZeros).subspan(within, std::min(kPageBytes - within, size_ - at));
}

PagedBytes::Part PagedBytes::Part::part(std::size_t at, std::size_t bytes) const {
  Part part;
  part.position_ = position_ + at;
  part.size_ = std::min(bytes, size_ - at);
  const auto page = [this](std::uint64_t position) {
    return static_cast<std::ptrdiff_t>(position / kPageBytes - position_ / kPageBytes);
  };
  part.pages_.assign(pages_.begin() + page(part.position_),
                     pages_.begin() + page(part.position_ + part.size_ - 1) + 1);
  return part;
}

PagedBytes::Pages& PagedBytes::own_pages() {
  if (pages_.use_count() > 1) pages_ = std::make_shared<Pages>(*pages_);
  return *pages_;
}

void PagedBytes::write_page(std::size_t number, std::size_t within, Bytes data) {
  // Segments are filled with zeros before they are used.
  if (page(number) == nullptr && all_zeros(data)) return;
  std::shared_ptr<Page>& own = own_pages()[number];
  if (!own || own.use_count() > 1) {
    if (data.size() == kPageBytes) {
      own = std::make_shared_for_overwrite<Page>();
    } else {
      own = own ? std::make_shared<Page>(*own) : std::make_shared<Page>();
    }
  }
  std::memcpy(own->data() + within, data.data(), data.size());
}

}  // namespace lignum::jepsen
