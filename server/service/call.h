#pragma once

// One request of a client on its way through the services, and the way back.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
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

// An answer that says no.
[[nodiscard]] Answer failure(const Error& error);
[[nodiscard]] Answer failure(const Refusal& refusal);

[[nodiscard]] std::string chain_bytes(const Hash128& chain);

}  // namespace lignum::server
