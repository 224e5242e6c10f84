#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/payload.h"

namespace lignum::net {

// A client made of one blocking socket: sends any bytes it is told, also wrong ones. Every call
// has a deadline of kDeadlineSeconds, after which it counts as failed.
class RawClient {
 public:
  static constexpr int kDeadlineSeconds = 20;

  struct Message {
    wire::Response response;
    Payload payload;
  };

  // Connects to 127.0.0.1.
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False when the peer has closed.
  bool send(Bytes bytes);
  bool send(const wire::Request& request, const Payload& payload = {});
  // None when the peer has closed, or nothing came in time.
  std::optional<Message> receive();
  std::optional<Message> call(const wire::Request& request, const Payload& payload = {});
  // Hello and its answer.
  bool shake_hands();
  // True when the peer closes; what it still sends is thrown away.
  bool wait_closed();
  void close();

 private:
  int socket_;
  MessageReader reader_{MessageLimits{.message_bytes_max = std::size_t{64} << 20}};
};

// A request of the kind that the tests' handler answers at once.
[[nodiscard]] wire::Request stat_request(std::uint64_t id);

}  // namespace lignum::net
