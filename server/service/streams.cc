#include "server/service/streams.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include "net/proto/client.pb.h"
#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/meta_group.h"
#include "server/group/requests.h"
#include "server/meta/stream_name.h"
#include "server/router.h"
#include "server/service/call.h"
#include "server/service/lookup.h"

namespace lignum::server {

namespace {

// What is wrong with all shards of a stream together may take so much of a reply, whose header has
// 256 KiB: 1,024 shards take some 85 KiB without it.
constexpr std::size_t kTroubleBytesMax = std::size_t{96} << 10;

// The answer to a describe while its shards are being asked. Each shard writes its own message.
struct Description {
  Answer answer;
  // Of one shard.
  std::size_t trouble_bytes_max = 0;
  std::atomic<std::size_t> open{1};
  Respond respond;

  void one_done() {
    if (open.fetch_sub(1) == 1) respond(std::move(answer));
  }
};

void encode_unavailable(const Refusal& refusal, std::size_t text_max, wire::ShardStatus& status) {
  wire::Failure& unavailable = *status.mutable_unavailable();
  unavailable = failure(refusal).response.failure();
  unavailable.set_message(cut_text(unavailable.message(), text_max));
}

void encode_status(const std::expected<ShardStatusOutcome, Refusal>& outcome, std::size_t text_max,
                   wire::ShardStatus& status) {
  if (!outcome) return encode_unavailable(outcome.error(), text_max, status);
  status.set_start_offset(outcome->bounds.start.value());
  status.set_next_offset(outcome->bounds.next.value());
  status.set_bytes(outcome->bytes);
  status.set_last_append_us(outcome->last_append);
  status.set_chain(chain_bytes(outcome->chain));
  status.set_producers(outcome->producers);
}

}  // namespace

void serve_create_stream(const Router& router, const Call& call, Respond respond) {
  const wire::CreateStreamRequest& wanted = call.request.create_stream();
  CreateStreamRequest request{.name = wanted.name(),
                              .deadline_monotonic_us = call.deadline_monotonic_us};
  if (wanted.has_shards()) request.shards = wanted.shards();
  if (wanted.has_retention_ms()) request.retention_ms = wanted.retention_ms();
  if (wanted.has_retention_bytes()) request.retention_bytes = wanted.retention_bytes();
  router.on_meta(
      [request = std::move(request), respond = std::move(respond)](MetaGroup& meta) mutable {
        meta.create_stream(
            request, [respond = std::move(respond)](
                         const std::expected<CreateStreamOutcome, Refusal>& made) mutable {
              if (!made) return respond(failure(made.error()));
              Answer answer;
              wire::CreateStreamReply& reply = *answer.response.mutable_create_stream();
              encode_stream(made->stream, *reply.mutable_stream());
              reply.set_existed(made->existed);
              respond(std::move(answer));
            });
      });
}

void serve_list_streams(const Router& router, const Call& call, Respond respond) {
  Answer answer;
  wire::ListStreamsReply& reply = *answer.response.mutable_list_streams();
  StreamsPage page(*reply.mutable_streams());
  reply.set_more(page.add_after(*router.table(), call.request.list_streams().after()));
  respond(std::move(answer));
}

namespace {

// As the catalogue is known here.
void describe_known(const Router& router, const std::string& name, Respond respond) {
  const auto table = router.table();
  const net::StreamRoute* stream = table->find(name);
  if (stream == nullptr) {
    return respond(
        failure(Error(Errc::kNotFound, fmt::format("stream '{}' does not exist", name))));
  }
  auto description = std::make_shared<Description>();
  description->respond = std::move(respond);
  wire::DescribeStreamReply& reply = *description->answer.response.mutable_describe_stream();
  encode_stream(*stream, *reply.mutable_stream());
  description->open = stream->shards.size() + 1;
  description->trouble_bytes_max =
      kTroubleBytesMax / std::max<std::size_t>(1, stream->shards.size());
  // All messages exist before the first group answers.
  for (std::size_t i = 0; i < stream->shards.size(); ++i) reply.add_shards();
  for (std::size_t i = 0; i < stream->shards.size(); ++i) {
    wire::ShardStatus& status = *reply.mutable_shards(static_cast<int>(i));
    status.set_shard(static_cast<std::uint32_t>(i));
    status.set_group(stream->shards[i].value());
    const ShardKey key{.stream = stream->id, .shard = ShardNumber(static_cast<std::uint32_t>(i))};
    const auto sent =
        router.on_group(stream->shards[i], [description, &status, key](DataGroup& group) {
          encode_status(group.shard_status(key), description->trouble_bytes_max, status);
          description->one_done();
        });
    if (!sent) {
      encode_unavailable({.error = sent.error()}, description->trouble_bytes_max, status);
      description->one_done();
    }
  }
  description->one_done();
}

}  // namespace

void serve_describe_stream(const Router& router, const Call& call, Respond respond) {
  const std::string& name = call.request.describe_stream().name();
  if (const auto valid = check_stream_name(name); !valid) return respond(failure(valid.error()));
  if (router.table()->find(name) != nullptr)
    return describe_known(router, name, std::move(respond));
  // That a stream does not exist may only be said by a catalogue that is not behind.
  router.on_meta([&router, name, deadline = call.deadline_monotonic_us,
                  respond = std::move(respond)](MetaGroup& meta) mutable {
    meta.when_current(deadline, [&router, name, respond = std::move(respond)](
                                    const Result<void>& current) mutable {
      if (!current) return respond(failure(current.error()));
      describe_known(router, name, std::move(respond));
    });
  });
}

void serve_trim(const Router& router, const Call& call, Respond respond) {
  const wire::TrimRequest& wanted = call.request.trim();
  const ShardKey shard{.stream = StreamId(wanted.stream()), .shard = ShardNumber(wanted.shard())};
  const auto group = find_group(router, shard);
  if (!group) return respond(failure(group.error()));
  auto back = std::make_shared<Respond>(std::move(respond));
  const auto sent =
      router.on_group(*group, [shard, before = Offset(wanted.before_offset()),
                               deadline = call.deadline_monotonic_us, back](DataGroup& data_group) {
        data_group.trim(shard, before, deadline,
                        [back](const std::expected<TrimOutcome, Refusal>& outcome) {
                          if (!outcome) return (*back)(failure(outcome.error()));
                          Answer answer;
                          answer.response.mutable_trim()->set_start_offset(outcome->start.value());
                          (*back)(std::move(answer));
                        });
      });
  if (!sent) (*back)(failure(sent.error()));
}

void serve_delete_stream(const Router& router, const Call& call, Respond respond) {
  // It would be written to the catalogue's log.
  const auto valid = check_stream_name(call.request.delete_stream().name());
  if (!valid) return respond(failure(valid.error()));
  router.on_meta([name = call.request.delete_stream().name(), deadline = call.deadline_monotonic_us,
                  respond = std::move(respond)](MetaGroup& meta) mutable {
    meta.delete_stream(
        name, deadline,
        [respond = std::move(respond)](const std::expected<StreamId, Refusal>& outcome) mutable {
          if (!outcome) return respond(failure(outcome.error()));
          Answer answer;
          answer.response.mutable_delete_stream()->set_id(outcome->value());
          respond(std::move(answer));
        });
  });
}

}  // namespace lignum::server
