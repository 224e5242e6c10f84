#pragma once

// The version of the wire protocol (docs/wire_protocol.md): a client says it, a server refuses
// others.

#include <cstdint>

namespace lignum::net {

inline constexpr std::uint32_t kProtocolVersion = 1;

}  // namespace lignum::net
