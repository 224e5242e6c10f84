#pragma once

// One request and its outcome, as the client's cores hand them to each other.

#include <cstdint>
#include <functional>
#include <optional>

#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

// How a call ended. Exactly one of three: answered with a body (`error` absent), answered with a
// failure (`error` set, response.failure() present), or not answered (`error` set, no failure).
struct CallResult {
  std::optional<Error> error;
  // Not answered, but the request had left: the server may have acted on it, or may still.
  bool maybe_processed = false;
  wire::Response response;
  Payload payload;
};

using CallHandler = std::function<void(CallResult)>;

// What happens to a call whose attempt failed in a way that may pass (Error::may_retry or a lost
// connection).
enum class Retry : std::uint8_t {
  kNever,          // the caller has a better idea
  kIdempotent,     // again until the deadline: doing it twice equals doing it once
  kUnlessStarted,  // again only where the attempt provably did nothing; else kUnknownOutcome
};

struct Call {
  // Id and deadline are filled in when it is sent.
  wire::Request request;
  Payload payload;
  // Goes to the leader of this shard's group where that is known; none: to any node.
  std::optional<ShardKey> shard;
  Moment deadline = kMomentMax;
  Retry retry = Retry::kIdempotent;
  CallHandler done;
};

// The error of a failed response; nullopt where it has a body.
[[nodiscard]] std::optional<Error> failure_of(const wire::Response& response);

}  // namespace lignum::net
