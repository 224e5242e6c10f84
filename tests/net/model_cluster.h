#pragma once

// A cluster as clients see it, in memory: streams with shards on groups, producer sessions with
// their window of five, append times that rise per group, closed time, trims and deletions. It
// answers one request at a time and knows no network: the tests lose, delay and reorder around it.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record_batch.h"

namespace lignum::net {

class ModelCluster {
 public:
  struct Answer {
    wire::Response response;
    Payload payload;
  };
  struct Batch {
    Offset base;
    std::uint32_t count = 0;
    TimeUs append_time = 0;
    std::uint32_t level_mask = 0;
    std::vector<std::byte> bytes;
  };
  struct Shard {
    GroupId group;
    Offset start;
    Offset next;
    std::vector<Batch> batches;
    // [from, to) cannot be read.
    Offset damaged_from;
    Offset damaged_to;
    struct Session {
      std::int16_t epoch = 0;
      std::int32_t next_sequence = 0;
      struct Done {
        std::int32_t first;
        std::uint32_t count;
        Offset base;
        TimeUs time;
      };
      std::deque<Done> window;
    };
    std::map<ProducerId, Session> sessions;
    // The highest one.
    std::optional<ProducerId> evicted;
  };

  StreamId create(const std::string& name, std::uint32_t shards, std::uint32_t groups);
  void remove(const std::string& name);
  Shard& shard(StreamId stream, std::uint32_t number) {
    return shards_.at({.stream = stream, .shard = ShardNumber(number)});
  }
  // Streams in one answer to a resolve, at least one.
  void set_page(int streams) { page_ = streams; }
  // The wall clock of all nodes.
  void set_wall(TimeUs wall) { wall_ = wall; }
  [[nodiscard]] TimeUs closed(GroupId group) { return closed_[group]; }

  // None: parked; ask again when something has changed (a read at the watermark).
  std::optional<Answer> handle(const wire::Request& request, Bytes payload);

  // Appends without a client.
  void append(StreamId stream, std::uint32_t number, std::vector<std::byte> batch);
  void trim(StreamId stream, std::uint32_t number, Offset before);
  void evict(StreamId stream, std::uint32_t number);

  // Every record value of a shard, in order.
  [[nodiscard]] std::vector<std::string> values(StreamId stream, std::uint32_t number);

  static Answer failure(const wire::Request& request, Errc code);

 private:
  struct Stream {
    std::string name;
    std::uint32_t shards = 0;
  };

  wire::Response append(Shard& shard, const wire::Request& request, Bytes payload);
  // None where it can be served.
  [[nodiscard]] static std::optional<Answer> refuse_read(const Shard& shard,
                                                         const wire::Request& request);
  std::optional<Answer> read(Shard& shard, const wire::Request& request);
  wire::Response offsets(Shard& shard, const wire::Request& request);
  void describe(StreamId id, wire::StreamInfo& info);
  void resolve(const wire::ResolveRequest& request, wire::ResolveReply& reply);
  TimeUs stamp(GroupId group);
  Offset store(Shard& shard, std::vector<std::byte> batch, const BatchSummary& summary);

  std::map<StreamId, Stream> streams_;
  std::map<ShardKey, Shard> shards_;
  std::map<GroupId, TimeUs> closed_;
  TimeUs wall_ = 1'000'000;
  int page_ = 1'000'000;
  std::uint64_t next_stream_ = 1;
  std::int64_t next_producer_ = 1;
};

}  // namespace lignum::net
