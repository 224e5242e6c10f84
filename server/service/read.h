#pragma once

// The read services: batches of a shard from an offset on, and the bounds of a shard.

#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

void serve_read(const Router& router, const Call& call, Respond respond);
void serve_offsets(const Router& router, const Call& call, Respond respond);

}  // namespace lignum::server
