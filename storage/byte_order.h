#pragma once

// Integers to bytes and back, in a stated order, and a reader that cannot leave its bytes.
//
// Lignum's own formats are little-endian; the Kafka record batch is big-endian. Nothing here
// allocates; unaligned addresses are fine.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "raft/payload.h"

namespace lignum {

// `bytes` has at least sizeof(T) bytes from `at` on: the caller knows.
template <std::integral T>
[[nodiscard]] T load_le(Bytes bytes, std::size_t at = 0) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  if constexpr (std::endian::native == std::endian::big) {
    value = std::byteswap(value);
  }
  return value;
}

template <std::integral T>
[[nodiscard]] T load_be(Bytes bytes, std::size_t at = 0) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  if constexpr (std::endian::native == std::endian::little) {
    value = std::byteswap(value);
  }
  return value;
}

// The value's type is spelled by the caller, so that a change of a field's width is visible here.
template <std::integral T>
void store_le(std::span<std::byte> bytes, std::size_t at, std::type_identity_t<T> value) {
  if constexpr (std::endian::native == std::endian::big) {
    value = std::byteswap(value);
  }
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

template <std::integral T>
void store_be(std::span<std::byte> bytes, std::size_t at, std::type_identity_t<T> value) {
  if constexpr (std::endian::native == std::endian::little) {
    value = std::byteswap(value);
  }
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

// A forward reader over borrowed bytes. Every read says none instead of passing the end, and a
// failed read does not move. Never owns, never allocates.
class ByteCursor {
 public:
  explicit ByteCursor(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }
  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }

  template <std::integral T>
  std::optional<T> read_le() {
    if (remaining() < sizeof(T)) {
      return std::nullopt;
    }
    const T value = load_le<T>(bytes_, position_);
    position_ += sizeof(T);
    return value;
  }

  template <std::integral T>
  std::optional<T> read_be() {
    if (remaining() < sizeof(T)) {
      return std::nullopt;
    }
    const T value = load_be<T>(bytes_, position_);
    position_ += sizeof(T);
    return value;
  }

  // A view into the borrowed bytes.
  std::optional<Bytes> read_bytes(std::size_t count) {
    if (remaining() < count) {
      return std::nullopt;
    }
    const Bytes view = bytes_.subspan(position_, count);
    position_ += count;
    return view;
  }

 private:
  Bytes bytes_;
  std::size_t position_ = 0;
};

}  // namespace lignum
