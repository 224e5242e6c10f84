#pragma once

// The wire message: a fixed prefix, a protobuf header, a raw payload (docs/wire_protocol.md).
//
//     magic u32 | version u8 | 0 0 0 | header length u32 | payload length u32 | CRC-32C u32
//     header (protobuf: wire::Request or wire::Response)
//     payload (record batches, back to back; never inside the protobuf)
//
// Little-endian. The CRC covers the first 16 bytes of the prefix, the header and the payload.
// Lengths are checked against the limits before any memory is taken for them. Pure: no sockets.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"

namespace google::protobuf {
class MessageLite;
}

namespace lignum::net {

inline constexpr std::uint32_t kMessageMagic = 0x4D4E474C;  // "LGNM"
inline constexpr std::uint8_t kMessageVersion = 1;
inline constexpr std::size_t kPrefixBytes = 20;

struct MessageLimits {
  std::size_t header_bytes_max = std::size_t{256} << 10;
  // Prefix, header and payload together.
  std::size_t message_bytes_max = std::size_t{16} << 20;

  // What a peer that has not shaken hands may make us hold: a hello is below 200 bytes.
  [[nodiscard]] static constexpr MessageLimits before_handshake() {
    return {.header_bytes_max = 1024, .message_bytes_max = 1024};
  }
};

// Appends prefix and header of a message whose payload is the given slices; the caller sends the
// slices after them. CHECKs that the lengths fit 31 bits.
void append_message(std::vector<std::byte>& out, const google::protobuf::MessageLite& header,
                    std::span<const Payload> payload);
// The same in a buffer of its own.
[[nodiscard]] std::vector<std::byte> encode_message(const google::protobuf::MessageLite& header,
                                                    std::span<const Payload> payload);

struct ReceivedMessage {
  // Lies in the reader: valid until its next prepare(), release() or end.
  Bytes header;
  // Its own or shared bytes: keep it as long as you like.
  Payload payload;
};

// Cuts a byte stream into messages. Owned by one connection; one thread. Usage: read into
// prepare(), then commit(n), then next() until it returns nothing. An error is final.
//
// Memory: one chunk, reused from read to read, which many small messages share; it begins small and
// grows while reads fill it, so that a quiet connection costs a page or two. A larger message
// gets a buffer of its own that grows with what has come of it, at most to its size and never
// beyond four times of what was received (up to a MiB: sixteen times), or the size of the message
// before it. A payload below kCopyMax is copied out, so that it does not pin the chunk; a larger
// one is a slice of where it was read.
class MessageReader {
 public:
  static constexpr std::size_t kFirstChunkBytes = std::size_t{4} << 10;
  static constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
  static constexpr std::size_t kCopyMax = std::size_t{16} << 10;

  explicit MessageReader(MessageLimits limits) : limits_(limits) {}

  // After the handshake.
  void set_limits(MessageLimits limits) { limits_ = limits; }

  // Room for the next read; never empty.
  [[nodiscard]] std::span<std::byte> prepare();
  // `n` bytes of prepare()'s room were filled.
  void commit(std::size_t n);
  // The next complete message, or nothing yet. kProtocol, kUnsupported (version), kTooLarge or
  // kCorrupt (CRC); then the stream cannot be followed any further.
  [[nodiscard]] Result<std::optional<ReceivedMessage>> next();

  // Size of the message that is being received, where it needs a buffer of its own; else 0.
  [[nodiscard]] std::size_t large_message() const { return wanted_ > kChunkBytes ? wanted_ : 0; }
  // True between messages: no part of one has been read.
  [[nodiscard]] bool at_boundary() const { return begin_ == end_; }
  // Gives the chunk back and begins small again; only between messages. An idle connection holds no
  // memory then.
  void release();
  [[nodiscard]] bool holds_buffer() const { return buffer_ != nullptr; }
  // Bytes held for the current message and for further reads.
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  struct Lengths {
    std::size_t header = 0;
    std::size_t payload = 0;
    std::uint32_t crc = 0;
    [[nodiscard]] std::size_t total() const { return kPrefixBytes + header + payload; }
  };

  [[nodiscard]] Result<Lengths> parse_prefix(Bytes prefix) const;
  [[nodiscard]] Payload cut_payload(std::size_t at, std::size_t bytes);
  [[nodiscard]] std::size_t filled() const { return end_ - begin_; }
  [[nodiscard]] std::size_t chunk_bytes() const;
  // Moves what is unread to the front of a buffer of at least `bytes`.
  void relocate(std::size_t bytes);

  MessageLimits limits_;
  // Once payloads were cut from it, shared_: then it is replaced and never overwritten.
  std::shared_ptr<std::byte[]> buffer_;
  bool shared_ = false;
  std::size_t capacity_ = 0;
  std::size_t chunk_ = kFirstChunkBytes;
  // The unread bytes are [begin_, end_).
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  // Size of the message that begins at begin_, as far as known.
  std::size_t wanted_ = kPrefixBytes;
  // Size of the last message that came whole.
  std::size_t proven_ = 0;
};

}  // namespace lignum::net
