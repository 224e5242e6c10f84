#pragma once

// A logd under test, on a free port of loopback and a data directory that goes with it.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cluster/process.h"

namespace lignum::cluster {

class Node {
 public:
  struct Options {
    // Of a directory that is there already; a temporary one where empty.
    std::filesystem::path data;
    // Further flags of logd.
    std::vector<std::string> flags;
    // A program that runs logd, such as strace with its flags.
    std::vector<std::string> under;
  };
  explicit Node(Options options);
  Node() : Node(Options{}) {}

  // Starts logd and waits until it serves; on the port of the last start from the second time on.
  // False where it ended instead: errors() says why.
  [[nodiscard]] bool start();
  // Starts logd and kills it after so long, wherever it is by then.
  void start_and_kill_after(std::chrono::milliseconds delay);
  // How long the last start took until clients were served.
  [[nodiscard]] std::chrono::milliseconds start_time() const { return start_time_; }
  // kill -9.
  void kill();
  // SIGTERM, and waits for the end; none where it does not come within `patience`.
  std::optional<Ending> terminate(std::chrono::milliseconds patience = kPatience);

  [[nodiscard]] std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::filesystem::path& data() const { return data_; }
  [[nodiscard]] Process& process() { return *process_; }
  // What logd wrote to stderr, over all starts; and how it ended where it did.
  [[nodiscard]] std::string errors() const;
  // Resident memory in bytes, none without /proc.
  [[nodiscard]] std::optional<std::uint64_t> resident_bytes() const;

  // Runs logctl against this node.
  [[nodiscard]] RunResult logctl(std::vector<std::string> arguments,
                                 std::string_view input = {}) const;

 private:
  // Starts the process; `directory` is where its port file will appear.
  void launch(const std::filesystem::path& directory);

  TemporaryDirectory scratch_;
  Options options_;
  std::filesystem::path data_;
  std::unique_ptr<Process> process_;
  std::uint16_t port_ = 0;
  std::chrono::milliseconds start_time_{0};
};

}  // namespace lignum::cluster
