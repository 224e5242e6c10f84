#pragma once

// The routing services: where groups are, names to ids and placements, new producers.

#include <functional>
#include <optional>
#include <string>

#include "raft/types.h"
#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

// Where clients reach a node, where that is known.
using AddressOf = std::function<std::optional<std::string>(NodeId)>;

void serve_routing(const Router& router, const AddressOf& address_of, Respond respond);
void serve_resolve(const Router& router, const Call& call, Respond respond);
void serve_init_producer(const Router& router, const Call& call, Respond respond);

}  // namespace lignum::server
