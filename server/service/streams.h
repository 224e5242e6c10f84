#pragma once

// The stream services: create, list, describe, trim, delete.

#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

void serve_create_stream(const Router& router, const Call& call, Respond respond);
void serve_list_streams(const Router& router, const Call& call, Respond respond);
// Asks each of the stream's shards; a group that is halted makes its shards unavailable, not the
// answer.
void serve_describe_stream(const Router& router, const Call& call, Respond respond);
void serve_trim(const Router& router, const Call& call, Respond respond);
void serve_delete_stream(const Router& router, const Call& call, Respond respond);

}  // namespace lignum::server
