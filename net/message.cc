#include "net/message.h"

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"

namespace lignum::net {

namespace {

constexpr std::size_t kVersionAt = 4;
constexpr std::size_t kHeaderBytesAt = 8;
constexpr std::size_t kPayloadBytesAt = 12;
constexpr std::size_t kCrcAt = 16;
// Buffers grow by this factor: a third of a large message's bytes are copied once on the way.
constexpr std::size_t kGrowth = 4;
// The buffer of one large message grows faster at first: each step copies what has come, and most
// batches end below this.
constexpr std::size_t kFastGrowth = 16;
constexpr std::size_t kFastGrowthMax = std::size_t{1} << 20;

}  // namespace

void append_message(std::vector<std::byte>& out, const google::protobuf::MessageLite& header,
                    std::span<const Payload> payload) {
  const std::size_t header_bytes = header.ByteSizeLong();
  std::size_t payload_bytes = 0;
  for (const Payload& slice : payload) payload_bytes += slice.size();
  constexpr std::size_t kMax = std::numeric_limits<std::int32_t>::max();
  CHECK(header_bytes <= kMax && payload_bytes <= kMax);

  const std::size_t at = out.size();
  out.resize(at + kPrefixBytes + header_bytes);
  const std::span<std::byte> message = std::span(out).subspan(at);
  store_le<std::uint32_t>(message, 0, kMessageMagic);
  message[kVersionAt] = std::byte{kMessageVersion};
  store_le<std::uint32_t>(message, kHeaderBytesAt, static_cast<std::uint32_t>(header_bytes));
  store_le<std::uint32_t>(message, kPayloadBytesAt, static_cast<std::uint32_t>(payload_bytes));
  // The size was computed, and cached in the header, above.
  header.SerializeWithCachedSizesToArray(
      reinterpret_cast<std::uint8_t*>(message.data() + kPrefixBytes));
  std::uint32_t crc = crc32c(Bytes(message).first(kCrcAt));
  crc = crc32c(Bytes(message).subspan(kPrefixBytes), crc);
  for (const Payload& slice : payload) crc = crc32c(slice.bytes(), crc);
  store_le<std::uint32_t>(message, kCrcAt, crc);
}

std::vector<std::byte> encode_message(const google::protobuf::MessageLite& header,
                                      std::span<const Payload> payload) {
  std::vector<std::byte> out;
  append_message(out, header, payload);
  return out;
}

std::size_t MessageReader::chunk_bytes() const {
  return std::min(chunk_, limits_.message_bytes_max);
}

std::span<std::byte> MessageReader::prepare() {
  if (at_boundary() && buffer_ && !shared_) begin_ = end_ = 0;
  if (wanted_ > chunk_bytes()) {
    // Grown as bytes come, not on the word of the prefix: memory that nobody touched costs, too,
    // where the kernel backs it with huge pages or counts what is promised.
    if (end_ == capacity_) {
      const std::size_t fast = std::min(kFastGrowth * filled(), kFastGrowthMax);
      relocate(std::min(wanted_, std::max({fast, kGrowth * filled(), chunk_bytes(), proven_})));
    }
    // No byte of the next message enters the buffer, which becomes the payload's own.
    return {buffer_.get() + end_, std::min(capacity_ - end_, wanted_ - filled())};
  }
  const std::size_t missing = wanted_ > filled() ? wanted_ - filled() : 1;
  const std::size_t room = capacity_ - end_;
  // A part of a small message at the end of a chunk: many short reads would cost more than a move.
  const bool cramped = room < chunk_bytes() / 4 && filled() < chunk_bytes() / 4;
  // Between large messages only the head of the next one is read here: the rest of it then goes
  // straight to its own buffer.
  const bool head_only = at_boundary() && proven_ > chunk_bytes();
  if (room < missing || cramped) relocate(head_only ? kFirstChunkBytes : chunk_bytes());
  return {buffer_.get() + end_, capacity_ - end_};
}

void MessageReader::commit(std::size_t n) {
  end_ += n;
  CHECK(end_ <= capacity_);
  // There was more to read than we had room for.
  if (end_ == capacity_) chunk_ = std::min(kGrowth * chunk_, kChunkBytes);
}

Result<MessageReader::Lengths> MessageReader::parse_prefix(Bytes prefix) const {
  if (load_le<std::uint32_t>(prefix) != kMessageMagic) {
    return fail(Errc::kProtocol, "not a Lignum message: the magic number is wrong");
  }
  const auto version = std::to_integer<unsigned>(prefix[kVersionAt]);
  if (version != kMessageVersion) {
    return fail(Errc::kUnsupported,
                fmt::format("message version {}; this side speaks {}", version, kMessageVersion));
  }
  const Lengths lengths{.header = load_le<std::uint32_t>(prefix, kHeaderBytesAt),
                        .payload = load_le<std::uint32_t>(prefix, kPayloadBytesAt),
                        .crc = load_le<std::uint32_t>(prefix, kCrcAt)};
  if (lengths.header > limits_.header_bytes_max) {
    return fail(Errc::kTooLarge, fmt::format("message header of {} bytes; at most {} are allowed",
                                             lengths.header, limits_.header_bytes_max));
  }
  if (lengths.total() > limits_.message_bytes_max) {
    return fail(Errc::kTooLarge, fmt::format("message of {} bytes; at most {} are allowed",
                                             lengths.total(), limits_.message_bytes_max));
  }
  return lengths;
}

Result<std::optional<ReceivedMessage>> MessageReader::next() {
  wanted_ = kPrefixBytes;
  if (filled() < kPrefixBytes) return std::optional<ReceivedMessage>();
  const Bytes unread(buffer_.get() + begin_, filled());
  TRY_ASSIGN(lengths, parse_prefix(unread.first(kPrefixBytes)));
  wanted_ = lengths.total();
  if (unread.size() < wanted_) return std::optional<ReceivedMessage>();

  const Bytes body = unread.subspan(kPrefixBytes, lengths.header + lengths.payload);
  if (crc32c(body, crc32c(unread.first(kCrcAt))) != lengths.crc) {
    return fail(Errc::kCorrupt, "a message failed its checksum");
  }
  ReceivedMessage message{
      .header = body.first(lengths.header),
      .payload = cut_payload(begin_ + kPrefixBytes + lengths.header, lengths.payload)};
  begin_ += wanted_;
  proven_ = wanted_;
  wanted_ = kPrefixBytes;
  return std::optional(std::move(message));
}

Payload MessageReader::cut_payload(std::size_t at, std::size_t bytes) {
  if (bytes == 0) return {};
  const Bytes view(buffer_.get() + at, bytes);
  if (bytes < kCopyMax) return Payload::copy_of(view);
  shared_ = true;
  return {buffer_, view};
}

void MessageReader::release() {
  CHECK(at_boundary());
  buffer_.reset();
  shared_ = false;
  capacity_ = begin_ = end_ = proven_ = 0;
  chunk_ = kFirstChunkBytes;
}

void MessageReader::relocate(std::size_t bytes) {
  const Bytes unread(buffer_.get() + begin_, filled());
  if (!shared_ && capacity_ >= bytes && capacity_ <= kChunkBytes) {
    std::memmove(buffer_.get(), unread.data(), unread.size());
  } else {
    auto fresh = std::make_shared_for_overwrite<std::byte[]>(bytes);
    std::ranges::copy(unread, fresh.get());
    buffer_ = std::move(fresh);
    capacity_ = bytes;
    shared_ = false;
  }
  end_ = unread.size();
  begin_ = 0;
}

}  // namespace lignum::net
