#pragma once

// From a shard to its group, and from a stream to its description, by the routing table.

#include <cstddef>
#include <string_view>

#include "net/proto/client.pb.h"
#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/router.h"

namespace lignum::server {

// kNotFound for a stream or shard that the catalogue does not know.
[[nodiscard]] Result<GroupId> find_group(const Router& router, ShardKey shard);

// No error for an id that was handed out. kUnknownProducer for one that never was; kUnavailable
// where only this node may not have heard of it yet. An id that somebody made up could be a huge
// one, and once evicted it would make every shard that saw it refuse all others.
[[nodiscard]] Result<void> check_producer(const Router& router, ProducerId producer);

void encode_stream(const net::StreamRoute& stream, wire::StreamInfo& info);

// Fills the streams of one reply, as many as fit into kBytesMax: well below the 256 KiB of a
// header, and more than ten of the largest streams (1,024 shards, some 10 KiB). Lives as long as
// one reply is made; `streams` outlives it.
class StreamsPage {
 public:
  static constexpr std::size_t kBytesMax = std::size_t{128} << 10;
  using Streams = google::protobuf::RepeatedPtrField<wire::StreamInfo>;

  explicit StreamsPage(Streams& streams) : streams_(streams) {}

  // False, and nothing is added, where there is no room. There is room for the first one always.
  [[nodiscard]] bool add(const net::StreamRoute& stream);
  // Every stream behind `after`, by name, as far as there is room. True: there are more.
  [[nodiscard]] bool add_after(const net::RoutingTable& table, std::string_view after);

 private:
  Streams& streams_;
  std::size_t bytes_ = 0;
};

}  // namespace lignum::server
