#pragma once

// The process: what is made in which order, and unmade in the reverse. Nowhere else.
//
//   start   logging, data directory and its lock, state store, pools, lanes, groups (recovery),
//           socket; then the ready line, the port file, READY=1
//   stop    socket drains, groups stop (checkpoint, marker), socket closes, lanes end, pools end
//
// Owned by main, used by one thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "raft/error.h"
#include "server/options.h"

namespace lignum::server {

class App {
 public:
  // From the request to stop to the end of the process.
  static constexpr std::chrono::milliseconds kStopMax{4500};

  explicit App(Settings settings);
  // stop()s.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Serves when it returns. kLocked (data directory), kUnavailable (address), kCorrupt, kIo,
  // kNoSpace ... with a sentence that names what it was.
  Result<void> start();
  // Ends everything in order; idempotent. True when it ended within kStopMax.
  bool stop();

  // Looks whether the data directory is still the one that was opened; called about once a second.
  // Where it was removed, moved or replaced nothing that is acknowledged would be found again: the
  // process ends with 7, at once.
  void watch_directory();

  // The port that is listened on; after start().
  [[nodiscard]] std::uint16_t port() const;
  // The configuration was read again: takes its log level. Where it could not be read that is
  // logged, and the level stays.
  void reload(const Result<Settings>& settings);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The exit code for an error of start().
[[nodiscard]] int exit_code(const Error& error);

}  // namespace lignum::server
