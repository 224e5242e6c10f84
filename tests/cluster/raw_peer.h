#pragma once

// A TCP client that owes the server no good manners: it sends any bytes it likes.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/payload.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {

// One thread uses it. Nothing blocks for longer than its patience.
class RawPeer {
 public:
  // Connects to 127.0.0.1; aborts the test where nobody listens.
  explicit RawPeer(std::uint16_t port);

  // False once the server has closed.
  bool send(Bytes bytes);
  bool send(std::string_view text);
  bool send(const wire::Request& request, Bytes payload = {});
  // The next response, none where the server closes or stays silent.
  std::optional<wire::Response> receive(std::chrono::milliseconds patience = kPatience);
  // Shakes hands as a good client would.
  bool shake_hands();
  // True when the server closes within `patience`; what it still says is dropped.
  bool closed_within(std::chrono::milliseconds patience);

 private:
  // False at the end of the stream or of the patience.
  bool read_some(std::chrono::milliseconds patience);

  Handle socket_;
  net::MessageReader reader_{net::MessageLimits{}};
  bool closed_ = false;
};

}  // namespace lignum::cluster
