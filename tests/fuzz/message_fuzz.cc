// MessageReader: any bytes, cut in any way. The first byte of the input says how the stream is cut;
// the cutting must not change what comes out.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "net/message.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

struct Outcome {
  std::vector<std::vector<std::byte>> messages;
  std::optional<Errc> error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

constexpr net::MessageLimits kLimits{.header_bytes_max = 4096,
                                     .message_bytes_max = std::size_t{1} << 20};

Outcome read(Bytes stream, std::size_t bite) {
  Outcome outcome;
  net::MessageReader reader(kLimits);
  std::size_t received = 0;
  while (!stream.empty()) {
    const std::span<std::byte> room = reader.prepare();
    CHECK(!room.empty());
    CHECK(reader.capacity() <= (4 * received) + net::MessageReader::kChunkBytes);
    const std::size_t n = std::min({room.size(), stream.size(), bite});
    std::ranges::copy(stream.first(n), room.begin());
    reader.commit(n);
    received += n;
    stream = stream.subspan(n);
    while (true) {
      auto message = reader.next();
      if (!message) {
        outcome.error = message.error().code();
        return outcome;
      }
      if (!*message) break;
      const Bytes payload = (*message)->payload.bytes();
      auto& bytes =
          outcome.messages.emplace_back((*message)->header.begin(), (*message)->header.end());
      bytes.insert(bytes.end(), payload.begin(), payload.end());
    }
  }
  return outcome;
}

// Random bytes hardly ever have the right checksum: makes a message out of them.
std::vector<std::byte> with_prefix(Bytes body, std::size_t header_bytes) {
  constexpr std::size_t kCrcAt = 16;
  std::vector<std::byte> out(net::kPrefixBytes);
  store_le<std::uint32_t>(out, 0, net::kMessageMagic);
  out[4] = std::byte{net::kMessageVersion};
  store_le<std::uint32_t>(out, 8, static_cast<std::uint32_t>(header_bytes));
  store_le<std::uint32_t>(out, 12, static_cast<std::uint32_t>(body.size() - header_bytes));
  store_le<std::uint32_t>(out, kCrcAt, crc32c(body, crc32c(Bytes(out).first(kCrcAt))));
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const std::size_t bite = 1 + (std::size_t{input.take<std::uint8_t>()} * 17);
  std::vector<std::byte> stream;
  if (input.take<std::uint8_t>() % 2 == 0) {
    stream.assign(input.rest().begin(), input.rest().end());
  } else {
    while (!input.empty()) {
      const Bytes body = input.take_bytes(input.take<std::uint16_t>());
      const auto one = with_prefix(body, std::min<std::size_t>(body.size(), 100));
      stream.insert(stream.end(), one.begin(), one.end());
    }
    CHECK(!read(stream, bite).error.has_value());
  }
  CHECK(read(stream, bite) == read(stream, SIZE_MAX));
}

}  // namespace lignum::fuzz
