#include "net/call.h"

#include <cstdint>
#include <optional>
#include <string>

#include "net/proto/client.pb.h"
#include "raft/error.h"

namespace lignum::net {

std::optional<Error> failure_of(const wire::Response& response) {
  if (response.has_failure()) {
    const std::uint32_t code = response.failure().code();
    // A code from a newer server is still an error, but promises nothing about what happened.
    if (code == 0 || code > static_cast<std::uint32_t>(kErrcLast)) {
      return Error(Errc::kInternal, "error " + std::to_string(code) +
                                        " of a newer server: " + response.failure().message());
    }
    return Error(static_cast<Errc>(code), response.failure().message());
  }
  if (response.body_case() == wire::Response::BODY_NOT_SET) {
    return Error(Errc::kProtocol, "the server answered with neither a body nor a failure");
  }
  return std::nullopt;
}

}  // namespace lignum::net
