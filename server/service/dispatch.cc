#include "server/service/dispatch.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/router.h"
#include "server/service/append.h"
#include "server/service/call.h"
#include "server/service/node.h"
#include "server/service/read.h"
#include "server/service/routing.h"
#include "server/service/streams.h"

namespace lignum::server {

namespace {

void serve(const ServiceContext& context, Call call, Respond respond) {
  const Router& router = context.router;
  using Body = wire::Request::BodyCase;
  switch (call.request.body_case()) {
    case Body::kRouting:
      return serve_routing(router, context.address_of, std::move(respond));
    case Body::kResolve:
      return serve_resolve(router, call, std::move(respond));
    case Body::kInitProducer:
      return serve_init_producer(router, call, std::move(respond));
    case Body::kAppend:
      return serve_append(router, std::move(call), std::move(respond));
    case Body::kRead:
      return serve_read(router, call, std::move(respond));
    case Body::kOffsets:
      return serve_offsets(router, call, std::move(respond));
    case Body::kCreateStream:
      return serve_create_stream(router, call, std::move(respond));
    case Body::kListStreams:
      return serve_list_streams(router, call, std::move(respond));
    case Body::kDescribeStream:
      return serve_describe_stream(router, call, std::move(respond));
    case Body::kTrim:
      return serve_trim(router, call, std::move(respond));
    case Body::kDeleteStream:
      return serve_delete_stream(router, call, std::move(respond));
    case Body::kStat:
      return serve_stat(router, context.facts, std::move(respond));
    case Body::kSetLogLevel:
      return serve_set_log_level(context.facts, call, std::move(respond));
    // The session answers these.
    case Body::kHello:
    case Body::kPing:
    case Body::BODY_NOT_SET:
      break;
  }
  respond(failure(Error(Errc::kUnsupported, "this server does not know the request")));
}

// Whoever asked the wrong node is told where the right one is.
void add_leader_address(const ServiceContext& context, Answer& answer) {
  if (!answer.response.has_failure() || !answer.response.failure().has_leader_node()) return;
  wire::Failure& failure = *answer.response.mutable_failure();
  if (auto address = context.address_of(NodeId(failure.leader_node()))) {
    failure.set_leader(*std::move(address));
  }
}

}  // namespace

void dispatch(const ServiceContext& context, Call call, Respond respond) {
  const std::int64_t asked = std::int64_t{call.request.deadline_ms()} * 1000;
  call.deadline_monotonic_us = context.router.now().monotonic_us +
                               (asked == 0 ? kDefaultDeadlineUs : std::min(asked, kDeadlineMaxUs));
  auto back = std::make_shared<Respond>(std::move(respond));
  try {
    serve(context, std::move(call), [&context, back](Answer answer) {
      add_leader_address(context, answer);
      (*back)(std::move(answer));
    });
  } catch (const std::exception& error) {
    (*back)(failure(Error(Errc::kInternal, fmt::format("a request failed: {}", error.what()))));
  }
}

}  // namespace lignum::server
