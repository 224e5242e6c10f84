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

}  // namespace

std::vector<std::byte> encode_message(const google::protobuf::MessageLite& header,
                                      std::span<const Payload> payload) {
  const std::size_t header_bytes = header.ByteSizeLong();
  std::size_t payload_bytes = 0;
  for (const Payload& slice : payload) payload_bytes += slice.size();
  constexpr std::size_t kMax = std::numeric_limits<std::int32_t>::max();
  CHECK(header_bytes <= kMax && payload_bytes <= kMax);

  std::vector<std::byte> out(kPrefixBytes + header_bytes);
  store_le<std::uint32_t>(out, 0, kMessageMagic);
  out[kVersionAt] = std::byte{kMessageVersion};
  store_le<std::uint32_t>(out, kHeaderBytesAt, static_cast<std::uint32_t>(header_bytes));
  store_le<std::uint32_t>(out, kPayloadBytesAt, static_cast<std::uint32_t>(payload_bytes));
  CHECK(header.SerializeToArray(out.data() + kPrefixBytes, static_cast<int>(header_bytes)));
  std::uint32_t crc = crc32c(Bytes(out).first(kCrcAt));
  crc = crc32c(Bytes(out).subspan(kPrefixBytes), crc);
  for (const Payload& slice : payload) crc = crc32c(slice.bytes(), crc);
  store_le<std::uint32_t>(out, kCrcAt, crc);
  return out;
}

std::span<std::byte> MessageReader::prepare() {
  if (!buffer_) {
    buffer_ = std::make_shared<std::vector<std::byte>>(kChunkBytes);
    begin_ = end_ = 0;
  }
  const std::size_t missing = wanted_ > filled() ? wanted_ - filled() : 1;
  if (buffer_->size() - end_ < missing) relocate(std::max(wanted_, kChunkBytes));
  // While one large message is being read, no byte of the next one enters its buffer: the buffer
  // then becomes the payload's own.
  const std::size_t room = wanted_ > kChunkBytes ? missing : buffer_->size() - end_;
  return std::span(*buffer_).subspan(end_, room);
}

void MessageReader::commit(std::size_t n) {
  end_ += n;
  CHECK(buffer_ && end_ <= buffer_->size());
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
  const Bytes unread = Bytes(*buffer_).subspan(begin_, filled());
  TRY_ASSIGN(lengths, parse_prefix(unread.first(kPrefixBytes)));
  wanted_ = lengths.total();
  if (unread.size() < wanted_) return std::optional<ReceivedMessage>();

  const Bytes body = unread.subspan(kPrefixBytes, lengths.header + lengths.payload);
  if (crc32c(body, crc32c(unread.first(kCrcAt))) != lengths.crc) {
    return fail(Errc::kCorrupt, "a message failed its checksum");
  }
  ReceivedMessage message{.header = Payload(buffer_, body.first(lengths.header)),
                          .payload = Payload(buffer_, body.subspan(lengths.header))};
  begin_ += wanted_;
  wanted_ = kPrefixBytes;
  return std::optional(std::move(message));
}

void MessageReader::relocate(std::size_t bytes) {
  const Bytes unread = Bytes(*buffer_).subspan(begin_, filled());
  // Messages cut from the buffer share it; then it is left to them.
  if (buffer_.use_count() == 1 && buffer_->size() >= bytes && bytes <= kChunkBytes) {
    std::memmove(buffer_->data(), unread.data(), unread.size());
  } else {
    auto fresh = std::make_shared<std::vector<std::byte>>(bytes);
    std::copy(unread.begin(), unread.end(), fresh->begin());
    end_ = unread.size();
    begin_ = 0;
    buffer_ = std::move(fresh);
    return;
  }
  end_ -= begin_;
  begin_ = 0;
}

}  // namespace lignum::net
