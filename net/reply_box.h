#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/mutex.h"
#include "raft/payload.h"

namespace lignum::net {

// Where replies from any thread wait until their connection's lane collects them.
//
// Shared by a connection and by the replies that still owe it an answer. Bounded by the session's
// outstanding_max, as each outstanding request puts one answer at most. A burst of replies wakes
// the lane once. After close() answers are dropped, so a reply may outlive connection and lanes.
class ReplyBox {
 public:
  struct Answer {
    std::uint64_t id = 0;
    wire::Response response;
    std::vector<Payload> payload;
  };

  // `wake` makes the lane collect soon; called under the box's lock, from any thread.
  explicit ReplyBox(std::move_only_function<void()> wake) : wake_(std::move(wake)) {}

  // From any thread.
  void put(Answer answer) EXCLUDES(mutex_);

  // The rest on the lane only. hold(): the lane is about to collect anyway, so that a put() does
  // not wake it. collect() ends that: what comes after it wakes the lane.
  void hold() EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Answer> collect() EXCLUDES(mutex_);
  void close() EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::vector<Answer> answers_ GUARDED_BY(mutex_);
  bool awake_ GUARDED_BY(mutex_) = false;
  // Empty once closed.
  std::move_only_function<void()> wake_ GUARDED_BY(mutex_);
};

// The callable behind a Reply: answers once, with kInternal where it is dropped uncalled.
class PendingReply {
 public:
  PendingReply(std::shared_ptr<ReplyBox> box, std::uint64_t id) : box_(std::move(box)), id_(id) {}
  PendingReply(PendingReply&&) noexcept = default;
  PendingReply& operator=(PendingReply&&) = delete;
  PendingReply(const PendingReply&) = delete;
  PendingReply& operator=(const PendingReply&) = delete;
  ~PendingReply();

  // At most once.
  void operator()(wire::Response response, std::vector<Payload> payload);

 private:
  std::shared_ptr<ReplyBox> box_;
  std::uint64_t id_;
};

}  // namespace lignum::net
