#include "jepsen/sim/paged_bytes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "raft/payload.h"

namespace lignum::jepsen {

std::size_t PagedBytes::read(std::uint64_t position, std::span<std::byte> out) const {
  if (position >= size_) {
    return 0;
  }
  const auto total =
      static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - position));
  std::size_t done = 0;
  while (done < total) {
    const auto page = static_cast<std::size_t>((position + done) / kPageBytes);
    const auto within = static_cast<std::size_t>((position + done) % kPageBytes);
    const std::size_t count = std::min(total - done, kPageBytes - within);
    if (pages_[page]) {
      std::memcpy(out.data() + done, pages_[page]->data() + within, count);
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
    const auto page = static_cast<std::size_t>((position + done) / kPageBytes);
    const auto within = static_cast<std::size_t>((position + done) % kPageBytes);
    const std::size_t count = std::min(data.size() - done, kPageBytes - within);
    std::memcpy(writable_page(page).data() + within, data.data() + done, count);
    done += count;
  }
}

void PagedBytes::resize(std::uint64_t bytes) {
  const auto within = static_cast<std::size_t>(bytes % kPageBytes);
  pages_.resize(static_cast<std::size_t>((bytes + kPageBytes - 1) / kPageBytes));
  if (bytes < size_ && within != 0 && pages_.back()) {
    // What was cut off must read as zeros when the file grows again.
    std::memset(writable_page(pages_.size() - 1).data() + within, 0, kPageBytes - within);
  }
  size_ = bytes;
}

PagedBytes::Page& PagedBytes::writable_page(std::size_t number) {
  std::shared_ptr<Page>& page = pages_[number];
  if (!page) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

}  // namespace lignum::jepsen
