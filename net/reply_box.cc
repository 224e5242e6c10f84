#include "net/reply_box.h"

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"

namespace lignum::net {

void ReplyBox::put(Answer answer) {
  const MutexLock lock(mutex_);
  if (!wake_) return;
  answers_.push_back(std::move(answer));
  if (!std::exchange(awake_, true)) wake_();
}

void ReplyBox::hold() {
  const MutexLock lock(mutex_);
  awake_ = true;
}

std::vector<ReplyBox::Answer> ReplyBox::collect() {
  const MutexLock lock(mutex_);
  awake_ = false;
  return std::exchange(answers_, {});
}

void ReplyBox::close() {
  // Destroyed after the lock: payloads may be large, and `wake` may own what waits for it.
  std::vector<Answer> dropped;
  std::move_only_function<void()> wake;
  const MutexLock lock(mutex_);
  dropped.swap(answers_);
  wake.swap(wake_);
}

PendingReply::~PendingReply() {
  if (!box_) return;
  wire::Response response;
  response.mutable_failure()->set_code(static_cast<std::uint32_t>(Errc::kInternal));
  response.mutable_failure()->set_message("the request was dropped without an answer");
  (*this)(std::move(response), {});
}

void PendingReply::operator()(wire::Response response, std::vector<Payload> payload) {
  CHECK(box_ != nullptr);
  const auto box = std::move(box_);
  box->put({.id = id_, .response = std::move(response), .payload = std::move(payload)});
}

}  // namespace lignum::net
