#include "jepsen/sim/sim_server.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "net/proto/client.pb.h"
#include "net/server_session.h"
#include "raft/payload.h"
#include "server/service/call.h"
#include "server/service/dispatch.h"
#include "storage/record_batch.h"

namespace lignum::jepsen {

SimServer::SimServer(SimNode& node, SimNetwork& network, const server::ServiceContext& services,
                     const SimServerOptions& options)
    : node_(node), network_(network), services_(services), memory_(options_.memory_max) {
  options_.outstanding_max = options.outstanding_max;
  wire::HelloReply& hello = options_.hello;
  hello.set_protocol_version(net::kProtocolVersion);
  hello.set_cluster_id(options.identity.cluster.bytes.data(),
                       options.identity.cluster.bytes.size());
  hello.set_node_id(options.identity.node.value());
  hello.set_server_version("simulated");
  hello.set_message_bytes_max(static_cast<std::uint32_t>(options_.limits.message_bytes_max));
  hello.set_batch_bytes_max(kBatchBytesMax);
  hello.set_record_bytes_max(kRecordBytesMax);
  node_.later(kTick, [this] { tick(); });
}

SimServer::~SimServer() = default;

void SimServer::open(StreamNumber stream) {
  auto connection = std::make_shared<Connection>(options_, memory_);
  static_cast<void>(connection->session.on_tick(node_.clocks().monotonic_us));
  connections_.insert_or_assign(stream, std::move(connection));
}

void SimServer::receive(StreamNumber stream, Bytes bytes) {
  const auto found = connections_.find(stream);
  if (found == connections_.end()) return;
  found->second->unread.insert(found->second->unread.end(), bytes.begin(), bytes.end());
  pump(stream);
}

void SimServer::close(StreamNumber stream) { connections_.erase(stream); }

void SimServer::drain() {
  std::vector<StreamNumber> streams;
  for (const auto& [stream, connection] : connections_) {
    connection->session.drain();
    streams.push_back(stream);
  }
  for (const StreamNumber stream : streams) pump(stream);
}

void SimServer::feed(Connection& connection) const {
  if (connection.unread.empty() || !connection.session.wants_read()) return;
  const std::span<std::byte> room = connection.session.prepare();
  const std::size_t count = std::min(room.size(), connection.unread.size());
  std::memcpy(room.data(), connection.unread.data(), count);
  connection.session.commit(count);
  connection.unread.erase(connection.unread.begin(),
                          connection.unread.begin() + static_cast<std::ptrdiff_t>(count));
}

void SimServer::pump(StreamNumber stream) {
  const auto found = connections_.find(stream);
  if (found == connections_.end() || found->second->pumping) return;
  const ConnectionPtr connection = found->second;
  connection->pumping = true;
  bool busy = true;
  while (busy) {
    const std::size_t unread = connection->unread.size();
    feed(*connection);
    busy = connection->unread.size() != unread;
    while (auto incoming = connection->session.next_request()) {
      busy = true;
      dispatch(stream, connection, std::move(*incoming));
    }
    for (Reply& reply : std::exchange(connection->replies, {})) {
      busy = true;
      connection->session.reply(reply.id, std::move(reply.answer.response),
                                std::move(reply.answer.payload));
    }
    flush(stream, *connection);
  }
  connection->pumping = false;
  if (connection->session.finished()) {
    connections_.erase(stream);
    network_.close(node_.number(), stream);
  }
}

void SimServer::dispatch(StreamNumber stream, const ConnectionPtr& connection,
                         net::ServerSession::Incoming incoming) {
  const std::uint64_t id = incoming.request.id();
  server::dispatch(services_,
                   {.request = std::move(incoming.request), .payload = std::move(incoming.payload)},
                   [this, stream, id, weak = std::weak_ptr(connection)](server::Answer answer) {
                     const ConnectionPtr open = weak.lock();
                     if (!open) return;
                     open->replies.push_back({.id = id, .answer = std::move(answer)});
                     // Behind what else this event has to say.
                     if (open->pumping || std::exchange(open->pump_posted, true)) return;
                     node_.later(0, [this, stream, weak] {
                       if (const ConnectionPtr still = weak.lock()) {
                         still->pump_posted = false;
                         pump(stream);
                       }
                     });
                   });
}

void SimServer::flush(StreamNumber stream, Connection& connection) {
  std::vector<std::byte> bytes;
  std::array<Bytes, 16> pieces;
  while (const std::size_t count = connection.session.output(pieces)) {
    std::size_t total = 0;
    for (const Bytes& piece : std::span(pieces).first(count)) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      total += piece.size();
    }
    connection.session.sent(total);
  }
  if (!bytes.empty()) network_.send(node_.number(), stream, std::move(bytes));
}

void SimServer::tick() {
  std::vector<StreamNumber> stalled;
  for (const auto& [stream, connection] : connections_) {
    if (connection->session.on_tick(node_.clocks().monotonic_us)) stalled.push_back(stream);
  }
  for (const StreamNumber stream : stalled) {
    connections_.erase(stream);
    network_.close(node_.number(), stream);
  }
  node_.later(kTick, [this] { tick(); });
}

}  // namespace lignum::jepsen
