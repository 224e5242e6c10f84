#pragma once

// A node without a log: takes batches as a node takes them, checks their CRC, has them on disk
// before it answers, and knows nothing else. What a real node needs beyond its time is the price
// of order, recovery, terms and deduplication.
//
//     request (net/message) -> CRC of message and batch -> LimitDisk (group commit, fdatasync)
//                                     \-> followers, the same bytes over loopback
//     ack when a majority of the copies is on disk (the own one counts after its own flush)
//
// A follower is another LimitServer in this process, with files of its own. One thread serves all
// connections; listens on loopback only.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cli/bench/limit_disk.h"
#include "cli/bench/limit_socket.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "storage/file.h"

namespace lignum::cli {

class LimitServer {
 public:
  struct Options {
    std::size_t files = 1;
    LimitMode mode = LimitMode::kDirect;
    // Ports of the servers that keep further copies.
    std::vector<std::uint16_t> followers;
  };

  // Opens the files, connects to the followers, listens on any port and starts the thread.
  [[nodiscard]] static Result<std::unique_ptr<LimitServer>> start(storage::Directory& directory,
                                                                  const Options& options);
  ~LimitServer();
  LimitServer(const LimitServer&) = delete;
  LimitServer& operator=(const LimitServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return listener_.port; }
  // Of its threads so far.
  [[nodiscard]] double cpu_seconds() const;
  // Why it stopped serving; none while it does.
  [[nodiscard]] std::optional<Error> failure() const;

 private:
  // An append that has no answer yet, or that a follower has still to confirm.
  struct Pending {
    std::size_t connection = 0;
    std::uint64_t request = 0;
    std::size_t copies = 0;
  };

  LimitServer(LimitListener listener, std::vector<LimitSocket> followers);
  void run();
  Result<void> serve_until_stopped();
  Result<void> turn();
  Result<void> accept_one();
  Result<void> serve(std::size_t connection);
  Result<void> admit(std::size_t connection, const net::ReceivedMessage& message);
  Result<void> hear(LimitSocket& follower);
  Result<void> flush_all();
  void confirm(std::uint64_t ticket);

  LimitListener listener_;
  Descriptor wake_;
  std::unique_ptr<LimitDisk> disk_;
  std::size_t files_ = 0;
  std::vector<LimitSocket> followers_;
  // A closed one stays, without descriptor: pending appends name connections by position.
  std::vector<std::unique_ptr<LimitSocket>> connections_;
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t next_offset_ = 0;
  std::atomic<bool> stopping_{false};
  mutable Mutex mutex_;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  // Last: it uses all of the above.
  mutable std::thread thread_;
};

}  // namespace lignum::cli
