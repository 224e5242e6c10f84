#include "server/service/routing.h"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "net/hash_ring.h"
#include "net/proto/client.pb.h"
#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/meta_group.h"
#include "server/group/requests.h"
#include "server/router.h"
#include "server/service/call.h"
#include "server/service/lookup.h"

namespace lignum::server {

void serve_routing(const Router& router, const AddressOf& address_of, Respond respond) {
  const auto table = router.table();
  Answer answer;
  wire::RoutingReply& reply = *answer.response.mutable_routing();
  reply.set_epoch(table->epoch().value());
  reply.set_ring_version(net::kRingVersion);
  for (const GroupId group : table->groups()) {
    wire::GroupRoute& route = *reply.add_groups();
    route.set_group(group.value());
    const auto seat = router.seats().find(group);
    const DataGroup* const seated =
        seat == router.seats().end() ? nullptr : seat->second.group.load();
    if (seated == nullptr) continue;
    const auto leader = seated->leader();
    if (!leader) continue;
    if (auto address = address_of(*leader)) route.set_leader(*std::move(address));
  }
  if (const auto leader = router.meta_leader()) {
    if (auto address = address_of(*leader)) reply.set_meta_leader(*std::move(address));
  }
  respond(std::move(answer));
}

namespace {

Answer resolved(const Router& router, const wire::ResolveRequest& request) {
  const auto table = router.table();
  Answer answer;
  wire::ResolveReply& reply = *answer.response.mutable_resolve();
  reply.set_epoch(table->epoch().value());
  StreamsPage page(*reply.mutable_streams());
  if (request.names().empty()) reply.set_more(page.add_after(*table, request.after()));
  const int count = request.names_size();
  for (int i = 0; i < count; ++i) {
    const net::StreamRoute* stream = table->find(request.names(i));
    if (stream == nullptr || page.add(*stream)) continue;
    reply.set_names_left(static_cast<std::uint32_t>(count - i));
    break;
  }
  return answer;
}

}  // namespace

void serve_resolve(const Router& router, const Call& call, Respond respond) {
  const auto& names = call.request.resolve().names();
  const auto table = router.table();
  const bool all = std::ranges::all_of(
      names, [&](const std::string& name) { return table->find(name) != nullptr; });
  if (all) return respond(resolved(router, call.request.resolve()));
  // That a stream does not exist may only be said by a catalogue that is not behind.
  router.on_meta([&router, request = call.request.resolve(), deadline = call.deadline_monotonic_us,
                  respond = std::move(respond)](MetaGroup& meta) mutable {
    meta.when_current(deadline,
                      [&router, request = std::move(request),
                       respond = std::move(respond)](const Result<void>& current) mutable {
                        respond(current ? resolved(router, request) : failure(current.error()));
                      });
  });
}

void serve_init_producer(const Router& router, const Call& call, Respond respond) {
  router.on_meta([deadline = call.deadline_monotonic_us,
                  respond = std::move(respond)](MetaGroup& meta) mutable {
    meta.new_producer(deadline, [respond = std::move(respond)](
                                    const std::expected<ProducerId, Refusal>& id) mutable {
      if (!id) return respond(failure(id.error()));
      Answer answer;
      answer.response.mutable_init_producer()->set_producer_id(id->value());
      answer.response.mutable_init_producer()->set_producer_epoch(0);
      respond(std::move(answer));
    });
  });
}

}  // namespace lignum::server
