#pragma once

// The routing services: where groups are, names to ids and placements, new producers.

#include <string>

#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

// `address` is where clients reach this node, which leads every group it serves.
void serve_routing(const Router& router, const std::string& address, Respond respond);
void serve_resolve(const Router& router, const Call& call, Respond respond);
void serve_init_producer(const Router& router, const Call& call, Respond respond);

}  // namespace lignum::server
