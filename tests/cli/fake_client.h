#pragma once

// A client without a node: streams in memory, one shard after the other, no threads. Acks and
// listeners are called before append returns; time rises by one microsecond per record.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

class FakeClient final : public Client {
 public:
  struct Stored {
    Record record;
    TimeUs append_time = 0;
    std::uint64_t offset = 0;
    std::uint32_t shard = 0;
  };
  struct Stream {
    StreamDescription description;
    std::vector<Stored> records;  // in append order
    std::vector<std::uint64_t> next;
  };

  // What the outcome of the n-th append (from 0) is instead of an ack.
  std::function<std::optional<Error>(std::uint64_t append)> outcome;
  // append() is answered at the next flush(), not before it returns.
  bool answers_at_flush = false;
  // What append() itself says instead of queueing.
  std::function<std::optional<Error>(const Record&)> refusal;
  // What a tail reports before its records, or after which it idles for ever.
  std::vector<Gap> gaps;
  std::optional<Error> stalled;
  NodeStat node;
  std::string log_level = "info";
  std::map<std::string, Stream, std::less<>> streams;
  std::vector<std::string> calls;

  Stream& make(const std::string& name, std::uint32_t shards = 1);

  Result<void> append(std::string_view stream, Record record, AppendCallback done) override;
  Result<void> append_view(std::string_view stream, const BorrowedRecord& record,
                           AppendListener& listener, std::uint64_t tag) override;
  Result<AppendAck> append_wait(std::string_view stream, Record record) override;
  Result<AppendAck> append_expecting(std::string_view stream, ShardNumber shard, Offset expected,
                                     std::vector<Record> records) override;
  void flush() override;
  Result<std::unique_ptr<Tail>> tail(TailOptions options) override;
  Result<StreamDescription> create_stream(std::string_view name, StreamOptions options) override;
  Result<std::vector<StreamDescription>> list_streams() override;
  Result<StreamDescription> describe_stream(std::string_view name) override;
  Result<Offset> trim(std::string_view stream, ShardNumber shard, Offset before) override;
  Result<void> delete_stream(std::string_view name) override;
  Result<NodeStat> stat() override { return node; }
  Result<std::string> set_log_level(std::string_view level) override;

 private:
  AppendAck store(Stream& stream, Record record, std::uint32_t shard);
  void answer_all();

  struct Told {
    AppendListener* listener = nullptr;
    std::uint64_t tag = 0;
    AppendAck ack;
  };
  std::deque<Told> told_;
  std::deque<std::function<void()>> answers_;
  bool telling_ = false;
  std::uint64_t appends_ = 0;
  TimeUs now_ = 1'700'000'000'000'000;
};

}  // namespace lignum::cli
