// decode_peer_message(): any header, any payload. What is taken comes out of the encoder again as a
// message that is taken as well.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "net/message.h"
#include "net/raft_codec.h"
#include "raft/check.h"
#include "raft/payload.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

void fuzz_one(Bytes input) {
  Input parts(input);
  const Bytes header = parts.take_bytes(parts.take<std::uint16_t>());
  const auto message = net::decode_peer_message(header, Payload::copy_of(parts.rest()));
  if (!message) return;
  const net::EncodedPeerMessage encoded = net::encode_peer_message(*message);
  std::vector<std::byte> payload;
  for (const Payload& slice : encoded.payload) {
    payload.insert(payload.end(), slice.bytes().begin(), slice.bytes().end());
  }
  const auto again = net::decode_peer_message(Bytes(encoded.head).subspan(net::kPrefixBytes),
                                              Payload(std::move(payload)));
  CHECK(again.has_value());
  CHECK(again->from() == message->from() && again->to() == message->to());
}

}  // namespace lignum::fuzz
