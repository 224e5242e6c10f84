#pragma once

// The one choke point of requests: every request of every client passes dispatch().
//
// It puts a deadline on the request and hands it to its service. Runs on the connection's lane,
// never blocks, never throws: an exception of a library below becomes kInternal here. Services
// answer from whatever lane they end on.

#include <functional>
#include <optional>
#include <string>

#include "raft/types.h"
#include "server/router.h"
#include "server/service/call.h"
#include "server/service/node.h"

namespace lignum::server {

// What services need; outlives every request.
struct ServiceContext {
  const Router& router;
  NodeFacts facts;
  // host:port, as clients reach a node, where that is known; asked for each time, because the own
  // port may be known only once the server listens. Called on any lane.
  std::function<std::optional<std::string>(NodeId)> address_of;
};

// `respond` is called exactly once.
void dispatch(const ServiceContext& context, Call call, Respond respond);

}  // namespace lignum::server
