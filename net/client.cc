// The caller's side of ClientShell: what user threads do. The client's thread is in
// client_shell.cc.

#include "net/client.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client_convert.h"
#include "net/client_shell.h"
#include "net/client_tail.h"
#include "net/moment.h"
#include "net/producer.h"
#include "net/producer_batch.h"
#include "net/proto/client.pb.h"
#include "net/tail_reader.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/compression.h"

namespace lignum {

namespace net {

namespace {

// A record's time is in milliseconds: within one, the wall clock need not be read again.
constexpr Moment kWallReadEvery = kMillisecond;

Error wrong_answer() { return {Errc::kProtocol, "the answer does not belong to the request"}; }

std::vector<FieldView> views_of(const std::vector<Field>& fields) {
  std::vector<FieldView> views;
  views.reserve(fields.size());
  for (const Field& field : fields) {
    views.push_back({.name = field.name, .value = field.value});
  }
  return views;
}

BorrowedRecord borrow(const Record& record, const std::vector<FieldView>& fields) {
  return {.time = record.time,
          .key = record.key ? std::optional<Bytes>(*record.key) : std::nullopt,
          .value = record.value,
          .level = record.level,
          .fields = fields};
}

Result<void> check_options(const ClientOptions& options) {
  if (options.endpoints.empty()) {
    return fail(Errc::kInvalidArgument, "a client needs at least one endpoint, host:port");
  }
  if (!codec_from_name(options.compression)) {
    return fail(Errc::kInvalidArgument, "unknown compression '" + options.compression +
                                            "': none, gzip, snappy, lz4 or zstd");
  }
  return {};
}

}  // namespace

Producer::Now ClientShell::now_for_append() {
  const Moment moment = moment_now();
  if (moment - wall_read_at_ >= kWallReadEvery) {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    wall_read_ = std::chrono::duration_cast<std::chrono::milliseconds>(wall).count();
    wall_read_at_ = moment;
  }
  return {.moment = moment, .wall = wall_read_};
}

Result<void> ClientShell::add(std::string_view stream, const BorrowedRecord& record,
                              AppendWaiter waiter) {
  const MutexLock lock(producer_mutex_);
  TRY(producer_.append(stream, record, std::move(waiter), now_for_append()));
  wake_if_wanted();
  return {};
}

void ClientShell::wake_if_wanted() {
  // One wake-up per burst: the turn that it causes serves all that is appended until then. In a
  // callback the turn under way goes round once more anyway.
  if (producer_.wants_turn() && !wake_posted_ && std::this_thread::get_id() != thread_.get_id()) {
    wake_posted_ = true;
    post_turn();
  }
}

Result<void> ClientShell::append(std::string_view stream, Record record, AppendCallback done) {
  const std::vector<FieldView> fields = views_of(record.fields);
  return add(stream, borrow(record, fields),
             {.listener = nullptr, .tag = 0, .callback = std::move(done)});
}

Result<void> ClientShell::append_view(std::string_view stream, const BorrowedRecord& record,
                                      AppendListener& listener, std::uint64_t tag) {
  return add(stream, record, {.listener = &listener, .tag = tag, .callback = {}});
}

Result<AppendAck> ClientShell::append_wait(std::string_view stream, Record record) {
  CHECK(std::this_thread::get_id() != thread_.get_id());
  const std::vector<FieldView> fields = views_of(record.fields);
  const BorrowedRecord borrowed = borrow(record, fields);
  // Shared: the callback may outlive this frame's interest by the time set_value returns.
  const auto outcome = std::make_shared<std::promise<Result<AppendAck>>>();
  auto future = outcome->get_future();
  const AppendCallback done = [outcome](Result<AppendAck> ack) {
    outcome->set_value(std::move(ack));
  };
  const auto deadline = std::chrono::steady_clock::now() + options_.append_deadline;
  {
    const MutexLock lock(producer_mutex_);
    while (true) {
      const auto added = producer_.append(
          stream, borrowed, {.listener = nullptr, .tag = 0, .callback = done}, now_for_append());
      if (added) {
        break;
      }
      if (added.error().code() != Errc::kOverloaded) {
        return std::unexpected(added.error());
      }
      if (!progress_.wait_until(producer_mutex_, deadline)) {
        return fail(Errc::kTimeout, "the append buffer stayed full until the deadline");
      }
    }
    wake_if_wanted();
  }
  return future.get();
}

Result<AppendAck> ClientShell::append_expecting(std::string_view stream, ShardNumber shard,
                                                Offset expected, std::vector<Record> records) {
  TRY(resolve(stream));
  const auto outcome = std::make_shared<std::promise<Result<AppendAck>>>();
  auto future = outcome->get_future();
  AppendCallback done = [outcome](Result<AppendAck> ack) { outcome->set_value(std::move(ack)); };
  {
    const MutexLock lock(producer_mutex_);
    TRY(producer_.append_expecting(stream, shard, expected, records,
                                   {.listener = nullptr, .tag = 0, .callback = std::move(done)},
                                   now_for_append()));
    wake_if_wanted();
  }
  return future.get();
}

void ClientShell::flush() {
  CHECK(std::this_thread::get_id() != thread_.get_id());
  const MutexLock lock(producer_mutex_);
  producer_.flush();
  wake_if_wanted();
  while (!producer_.idle() || delivering_) {
    progress_.wait(producer_mutex_);
    // Records that were staged, or waited behind the batches just ended, must not linger either.
    producer_.flush();
    wake_if_wanted();
  }
}

Result<std::unique_ptr<Tail>> ClientShell::tail(TailOptions options) {
  CHECK(std::this_thread::get_id() != thread_.get_id());
  TailReader::Options reader{
      .tail = std::move(options),
      .request_timeout =
          std::chrono::duration_cast<std::chrono::microseconds>(options_.request_timeout).count(),
      .backoff = {},
      .seed = 0};
  const auto state = std::make_shared<TailState>(std::move(reader));
  boost::asio::post(*io_, [this, state] {
    tails_.push_back({.state = state, .wakeup = 0});
    turn();
  });
  // The io_context stays while the tail does; after the client's end it runs nothing any more.
  auto tail = std::make_unique<ClientTail>(
      state, [this, io = io_, state] { boost::asio::post(*io, [this] { on_tail_asks(); }); });
  TRY(tail->wait_until_settled());
  return tail;
}

Result<wire::Response> ClientShell::ask(wire::Request request, std::optional<ShardKey> shard,
                                        Retry retry) {
  CHECK(std::this_thread::get_id() != thread_.get_id());
  const auto answer = std::make_shared<std::promise<CallResult>>();
  auto future = answer->get_future();
  Call call;
  call.request = std::move(request);
  call.shard = shard;
  call.retry = retry;
  call.done = [answer](CallResult result) { answer->set_value(std::move(result)); };
  boost::asio::post(*io_, [this, call = std::move(call)]() mutable {
    const Moment now = moment_now();
    call.deadline =
        now +
        std::chrono::duration_cast<std::chrono::microseconds>(options_.request_timeout).count();
    core_.call(std::move(call), now);
    turn();
  });
  CallResult result = future.get();
  if (result.error) {
    return std::unexpected(*result.error);
  }
  return std::move(result.response);
}

Result<wire::StreamInfo> ClientShell::resolve(std::string_view name) {
  wire::Request request;
  request.mutable_resolve()->add_names(std::string(name));
  TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kIdempotent));
  const auto& streams = response.resolve().streams();
  const auto found = std::ranges::find(streams, name, &wire::StreamInfo::name);
  if (found == streams.end()) {
    return fail(Errc::kNotFound, "stream '" + std::string(name) + "' does not exist");
  }
  const MutexLock lock(producer_mutex_);
  producer_.on_stream(*found, now_for_append());
  wake_if_wanted();
  return *found;
}

Result<StreamDescription> ClientShell::create_stream(std::string_view name, StreamOptions options) {
  // Nodes check this too, and the rest of the name.
  if (name.starts_with('-')) {
    return fail(Errc::kInvalidArgument,
                "a stream name must not begin with '-': a command line takes it for a flag");
  }
  wire::Request request;
  wire::CreateStreamRequest& body = *request.mutable_create_stream();
  body.set_name(std::string(name));
  if (options.shards) {
    body.set_shards(*options.shards);
  }
  if (options.retention) {
    body.set_retention_ms(options.retention->count() < 0 ? -1 : options.retention->count());
  }
  if (options.retention_bytes) {
    body.set_retention_bytes(*options.retention_bytes);
  }
  // Making the same stream again finds it: safe to repeat.
  TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kIdempotent));
  if (!response.has_create_stream()) {
    return std::unexpected(wrong_answer());
  }
  return description_of(response.create_stream().stream());
}

Result<std::vector<StreamDescription>> ClientShell::list_streams() {
  std::vector<StreamDescription> streams;
  std::string after;
  for (bool more = true; more;) {
    wire::Request request;
    request.mutable_list_streams()->set_after(after);
    TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kIdempotent));
    if (!response.has_list_streams()) {
      return std::unexpected(wrong_answer());
    }
    const wire::ListStreamsReply& page = response.list_streams();
    for (const wire::StreamInfo& stream : page.streams()) {
      // Whatever a node answers, this comes to its end.
      if (stream.name() <= after) {
        return std::unexpected(wrong_answer());
      }
      after = stream.name();
      streams.push_back(description_of(stream));
    }
    more = page.more() && page.streams_size() > 0;
  }
  return streams;
}

Result<StreamDescription> ClientShell::describe_stream(std::string_view name) {
  wire::Request request;
  request.mutable_describe_stream()->set_name(std::string(name));
  TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kIdempotent));
  if (!response.has_describe_stream()) {
    return std::unexpected(wrong_answer());
  }
  return description_of(response.describe_stream());
}

Result<Offset> ClientShell::trim(std::string_view stream, ShardNumber shard, Offset before) {
  TRY_ASSIGN(info, resolve(stream));
  wire::Request request;
  wire::TrimRequest& body = *request.mutable_trim();
  body.set_stream(info.id());
  body.set_shard(shard.value());
  body.set_before_offset(before.value());
  // The first offset kept only rises: safe to repeat.
  TRY_ASSIGN(response,
             ask(std::move(request), ShardKey{.stream = StreamId(info.id()), .shard = shard},
                 Retry::kIdempotent));
  if (!response.has_trim()) {
    return std::unexpected(wrong_answer());
  }
  return Offset(response.trim().start_offset());
}

Result<void> ClientShell::delete_stream(std::string_view name) {
  wire::Request request;
  request.mutable_delete_stream()->set_name(std::string(name));
  // By name: repeating it could delete a stream made meanwhile.
  TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kUnlessStarted));
  if (!response.has_delete_stream()) {
    return std::unexpected(wrong_answer());
  }
  return {};
}

Result<NodeStat> ClientShell::stat() {
  wire::Request request;
  request.mutable_stat();
  TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kIdempotent));
  if (!response.has_stat()) {
    return std::unexpected(wrong_answer());
  }
  return stat_of(response.stat());
}

Result<std::string> ClientShell::set_log_level(std::string_view level) {
  wire::Request request;
  request.mutable_set_log_level()->set_level(std::string(level));
  TRY_ASSIGN(response, ask(std::move(request), std::nullopt, Retry::kUnlessStarted));
  if (!response.has_set_log_level()) {
    return std::unexpected(wrong_answer());
  }
  return response.set_log_level().previous();
}

}  // namespace net

std::vector<std::byte> to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

Result<std::unique_ptr<Client>> Client::connect(ClientOptions options) {
  TRY(net::check_options(options));
  auto client = std::make_unique<net::ClientShell>(std::move(options));
  TRY(client->start());
  return client;
}

}  // namespace lignum
