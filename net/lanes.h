#pragma once

// The threads that run the node: each lane is one thread and one event loop.
//
// Owned by App, which makes it first and destroys it after everything that lives on a lane. A
// replica or a connection lives on one lane for life, so it needs no lock; crossing lanes is a
// post of a value. Tasks of a lane run one after the other, in the order they were posted by one
// thread. Nothing on a lane may block; a task that throws ends the process.
//
// Asio stays behind the two context() calls, for the files that open sockets.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's
}

namespace lignum::net {

struct LanesOptions {
  // At least one; usually the number of cores.
  std::size_t count = 1;
  // How long a lane that ran dry polls before it sleeps. Sleeping costs a wake-up of 40-80 us at
  // the next message, polling costs that much of a core after each burst. Zero: never.
  std::chrono::microseconds spin{0};
};

class Lanes {
 public:
  using Task = std::move_only_function<void()>;

  // Starts the threads.
  explicit Lanes(const LanesOptions& options);
  // stop()s.
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  [[nodiscard]] std::size_t count() const;

  // Runs `task` on the lane, after what is there already. From any thread. Once the lanes have
  // stopped, tasks are kept and destroyed unrun.
  void post(std::size_t lane, Task task);
  // The same, no earlier than `delay` from now.
  void post_after(std::size_t lane, std::chrono::microseconds delay, Task task);

  // The event loop of a lane; lives as long as this object.
  [[nodiscard]] boost::asio::io_context& context(std::size_t lane);
  [[nodiscard]] std::vector<boost::asio::io_context*> contexts();

  // Lets the lanes run dry: returns when no task, timer or socket operation is left on any of
  // them and their threads have ended. Whoever keeps a lane busy must have been told to end
  // before. From outside the lanes; idempotent.
  void finish();
  // Ends the threads after the tasks they are in; the rest is destroyed unrun with this object.
  // From outside the lanes; idempotent.
  void stop();

 private:
  struct Lane;
  void join();

  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace lignum::net
