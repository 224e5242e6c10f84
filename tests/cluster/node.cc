#include "tests/cluster/node.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/poll.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {

namespace {

// The number in the file, none while it is not whole.
std::optional<std::uint16_t> read_port(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = parsed.ec == std::errc() && text.ends_with('\n');
  return whole && port != 0 ? std::optional(port) : std::nullopt;
}

// Waits until something happens in the directory or the process ends; false at the end.
bool wait_for_change(int directory_events, int ended_fd, std::chrono::milliseconds patience) {
  std::array<pollfd, 2> events = {pollfd{.fd = directory_events, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = ended_fd, .events = POLLIN, .revents = 0}};
  if (::poll(events.data(), events.size(), static_cast<int>(patience.count())) <= 0) {
    return false;
  }
  return events[1].revents == 0;
}

}  // namespace

Node::Node(Options options)
    : options_(std::move(options)),
      data_(options_.data.empty() ? scratch_.path() / "data" : options_.data) {}

void Node::launch(const std::filesystem::path& directory) {
  std::vector<std::string> command = options_.under;
  command.insert(command.end(),
                 {std::string(LIGNUM_BIN_DIR) + "/logd", "--listen", endpoint(), "--data",
                  data_.string(), "--port-file", (directory / "number").string()});
  command.insert(command.end(), options_.flags.begin(), options_.flags.end());
  process_ = std::make_unique<Process>(
      ProcessOptions{.command = command, .errors = scratch_.path() / "stderr"});
}

bool Node::start() {
  // The port file is the only thing that appears in the directory that is watched.
  const TemporaryDirectory watched;
  const Handle events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  CHECK(::inotify_add_watch(events.get(), watched.path().c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) >=
        0);
  const auto begun = std::chrono::steady_clock::now();
  launch(watched.path());
  while (true) {
    if (const auto port = read_port(watched.path() / "number")) {
      start_time_ = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begun);
      port_ = *port;
      return true;
    }
    if (!wait_for_change(events.get(), process_->ended_fd(), kPatience)) {
      return false;
    }
    std::array<char, 4096> ignored{};
    while (::read(events.get(), ignored.data(), ignored.size()) > 0) {
    }
  }
}

void Node::start_and_kill_after(std::chrono::milliseconds delay) {
  const TemporaryDirectory unwatched;
  launch(unwatched.path());
  static_cast<void>(process_->wait(delay));
  kill();
}

void Node::kill() {
  process_->send_signal(SIGKILL);
  CHECK(process_->wait().has_value());
}

std::optional<Ending> Node::terminate(std::chrono::milliseconds patience) {
  process_->send_signal(SIGTERM);
  return process_->wait(patience);
}

std::string Node::errors() const {
  std::string text = read_file(scratch_.path() / "stderr");
  if (const auto ending = process_->wait(std::chrono::milliseconds(0))) {
    text += "(logd ended with " +
            (ending->signal != 0 ? "signal " + std::to_string(ending->signal)
                                 : "exit code " + std::to_string(ending->exit_code)) +
            ")\n";
  }
  return text;
}

std::optional<std::uint64_t> Node::resident_bytes() const {
  constexpr std::uint64_t kPage = 4096;
  std::istringstream pages(read_file("/proc/" + std::to_string(process_->pid()) + "/statm"));
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  return pages >> total >> resident ? std::optional(resident * kPage) : std::nullopt;
}

RunResult Node::logctl(std::vector<std::string> arguments, std::string_view input) const {
  arguments.insert(arguments.begin(), {"logctl", "--endpoints", endpoint()});
  // A context of the user must not lead the test elsewhere.
  return run({.command = std::move(arguments),
              .environment = {"HOME=" + scratch_.path().string(),
                              "XDG_CONFIG_HOME=" + scratch_.path().string(), "LANG=C.UTF-8"}},
             input);
}

}  // namespace lignum::cluster
