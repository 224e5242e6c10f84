#pragma once

// Immutable, shared bytes: the record batch of an entry, on its one way from the socket to the
// disk and back. Copies share the bytes; a slice keeps its owner alive. Safe to read from any
// thread.

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace lignum {

using Bytes = std::span<const std::byte>;

class Payload {
 public:
  Payload() = default;
  // Takes the vector's bytes without copying them.
  explicit Payload(std::vector<std::byte> bytes)
      : owner_(std::make_shared<const std::vector<std::byte>>(std::move(bytes))),
        view_(view_of(owner_)) {}
  // Bytes that `owner` keeps alive; `view` must lie inside what it owns.
  Payload(std::shared_ptr<const void> owner, Bytes view) : owner_(std::move(owner)), view_(view) {}

  [[nodiscard]] static Payload copy_of(Bytes bytes) {
    return Payload(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

  [[nodiscard]] Bytes bytes() const { return view_; }
  [[nodiscard]] std::size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  // The caller knows that offset + length <= size().
  [[nodiscard]] Payload slice(std::size_t offset, std::size_t length) const {
    return Payload(owner_, view_.subspan(offset, length));
  }

 private:
  static Bytes view_of(const std::shared_ptr<const void>& owner) {
    const auto& bytes = *static_cast<const std::vector<std::byte>*>(owner.get());
    return Bytes(bytes.data(), bytes.size());
  }

  std::shared_ptr<const void> owner_;
  Bytes view_;
};

}  // namespace lignum
