#pragma once

// One request of a client on its way through the services, and the way back.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/requests.h"

namespace lignum::server {

// What goes back: the header, and the payload's pieces in order.
struct Answer {
  wire::Response response;
  std::vector<Payload> payload;
};

// Called exactly once, from any thread.
using Respond = std::move_only_function<void(Answer)>;

struct Call {
  wire::Request request;
  Payload payload;
  // The server gives up then.
  std::int64_t deadline_monotonic_us = 0;
};

// Deadlines of requests that name none.
inline constexpr std::int64_t kDefaultDeadlineUs = 30'000'000;
// The longest a request may wait, and a parked read with it.
inline constexpr std::int64_t kDeadlineMaxUs = 300'000'000;
// Bytes of a failure's message.
inline constexpr std::size_t kFailureTextMax = 4096;

// An answer that says no. What it says is cut at kFailureTextMax: a request could be quoted in it.
[[nodiscard]] Answer failure(const Error& error);
[[nodiscard]] Answer failure(const Refusal& refusal);

// The first `bytes_max` bytes of a text in UTF-8, less what would be half a character, and "..."
// where something is missing.
[[nodiscard]] std::string cut_text(std::string_view text, std::size_t bytes_max);

[[nodiscard]] std::string chain_bytes(const Hash128& chain);

}  // namespace lignum::server
