#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/client_core.h"
#include "net/client_socket.h"
#include "net/client_tail.h"
#include "net/moment.h"
#include "net/producer.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"

namespace lignum::net {

// The Client over real sockets: one thread, one io_context, and the cores (ClientCore, Producer,
// TailReader) that hold all the logic.
//
// Owned by the user. Two locks: producer_mutex_ (the producer core, used by appending threads and
// the client's thread) and each tail's own; neither is held while callbacks run or while the other
// is taken. Everything else belongs to the client's thread.
class ClientShell final : public Client, private ClientSocket::Events {
 public:
  explicit ClientShell(ClientOptions options);
  ~ClientShell() override;
  ClientShell(const ClientShell&) = delete;
  ClientShell& operator=(const ClientShell&) = delete;

  // Starts the thread and connects.
  [[nodiscard]] Result<void> start();

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
  Result<NodeStat> stat() override;
  Result<std::string> set_log_level(std::string_view level) override;

 private:
  // Of the client's thread: a tail and when its core wants a turn.
  struct OpenTail {
    std::shared_ptr<TailState> state;
    Moment wakeup = kMomentMax;
  };

  [[nodiscard]] static Moment moment_now();

  // Caller's threads.
  [[nodiscard]] Result<void> add(std::string_view stream, const BorrowedRecord& record,
                                 AppendWaiter waiter);
  void wake_if_wanted() REQUIRES(producer_mutex_);
  [[nodiscard]] Producer::Now now_for_append() REQUIRES(producer_mutex_);
  // Sends the request and blocks until its end.
  [[nodiscard]] Result<wire::Response> ask(wire::Request request, std::optional<ShardKey> shard,
                                           Retry retry);
  // The stream as a resolve finds it; the producer learns it on the way.
  [[nodiscard]] Result<wire::StreamInfo> resolve(std::string_view name);
  void post_turn();

  // The client's thread.
  void turn();
  [[nodiscard]] bool turn_core(Moment now);
  [[nodiscard]] bool turn_producer(Moment now);
  // Tells waiters what has become of their records. A caller who appends again at each ack, with
  // nothing else on its way, would work in turn with the node, each waiting for the other: such an
  // outcome is told in two halves, and what the first one appends leaves before the second.
  [[nodiscard]] bool deliver_outcomes();
  void send_batches(std::vector<SendBatch> sends, Moment now);
  void resolve_for_producer(const std::string& name, Moment now);
  void init_producer(Moment now);
  void on_tail_asks();
  void turn_tail(OpenTail& tail, Moment now);
  void carry_out(ClientCore::Effect effect);
  void arm_timer();
  void shut_down();

  void on_connected(SocketName name) override;
  void on_lost(SocketName name, Error error) override;
  void on_bytes(SocketName name) override;
  void on_messages(SocketName name, std::vector<ClientSocket::Message> messages) override;

  const ClientOptions options_;
  // Kept alive by every tail too, so that a tail may outlive the client.
  const std::shared_ptr<boost::asio::io_context> io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer timer_;
  std::thread thread_;
  ClientCore core_;
  std::map<ClientCore::ConnectionId, std::shared_ptr<ClientSocket>> sockets_;
  std::vector<OpenTail> tails_;
  std::optional<Moment> timer_at_;
  std::uint64_t next_tail_seed_ = 0;
  // Appends without an answer.
  std::size_t batches_out_ = 0;
  // Outcomes on their way to their waiters; of the first one `delivered_` have been told.
  std::vector<AppendOutcome> deliveries_;
  std::size_t delivered_ = 0;

  Mutex producer_mutex_;
  Producer producer_ GUARDED_BY(producer_mutex_);
  bool wake_posted_ GUARDED_BY(producer_mutex_) = false;
  // Outcomes have been taken and their callbacks have not all returned.
  bool delivering_ GUARDED_BY(producer_mutex_) = false;
  // When the wall clock was read last, and what it said.
  Moment wall_read_at_ GUARDED_BY(producer_mutex_) = 0;
  TimeMs wall_read_ GUARDED_BY(producer_mutex_) = 0;
  ConditionVariable progress_;
};

}  // namespace lignum::net
