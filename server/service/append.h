#pragma once

// The append service: decode, the front door, the group, encode.
//
// The batch is walked here, on the connection's lane, so that groups on one lane do not wait for
// one another's checks; everything after is constant work for each batch (rule A6).

#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

void serve_append(const Router& router, Call call, Respond respond);

}  // namespace lignum::server
