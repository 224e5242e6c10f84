#pragma once

// Real processes under test: started, fed, waited for with deadlines, and killed.
//
// Nothing here sleeps: waits are polls on a pipe, a process or a directory. A process that outlives
// its owner is killed, so that a failing test leaves nothing behind. One thread uses one object.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lignum::cluster {

// Generous, because sanitizers and busy machines are slow; a test that waits so long fails.
inline constexpr std::chrono::milliseconds kPatience{60000};

// An owned file descriptor.
class Handle {
 public:
  Handle() = default;
  explicit Handle(int fd) : fd_(fd) {}
  Handle(Handle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Handle() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  void close();

 private:
  int fd_ = -1;
};

struct ProcessOptions {
  // Program and arguments. A program without a slash is one of build/PRESET/bin.
  std::vector<std::string> command;
  // Besides those of the test itself: "NAME=value".
  std::vector<std::string> environment;
  // Where it runs; the test's own directory where empty.
  std::filesystem::path directory;
  // Where its stderr goes; the test's own stderr where empty.
  std::filesystem::path errors;
};

// How a process ended.
struct Ending {
  int exit_code = -1;  // -1 where a signal ended it
  int signal = 0;
};

class Process {
 public:
  // Aborts the test where the program cannot be started.
  explicit Process(const ProcessOptions& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  Process(Process&&) = delete;
  Process& operator=(Process&&) = delete;
  // Kills it where it still runs.
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable once it has ended: for poll().
  [[nodiscard]] int ended_fd() const { return ended_.get(); }
  void send_signal(int signal) const;
  // How it ended, or none within `patience`.
  std::optional<Ending> wait(std::chrono::milliseconds patience = kPatience);

  // Writes to its stdin; false once it reads no more.
  bool write(std::string_view text);
  void close_input() { input_.close(); }
  // Reads stdout until what was read so far contains `text` (true), or it ends, or the patience is
  // over.
  bool read_until(std::string_view text, std::chrono::milliseconds patience = kPatience);
  // Writes all of `input`, reading stdout meanwhile, closes stdin, and reads to the end.
  void exchange(std::string_view input, std::chrono::milliseconds patience = kPatience);
  // Everything that was read from stdout so far.
  [[nodiscard]] const std::string& output() const { return output_; }

 private:
  // False at the end of the output.
  bool read_some();

  pid_t pid_ = -1;
  Handle ended_;
  Handle input_;
  Handle stdout_;
  std::string output_;
  std::optional<Ending> ending_;
};

// What a command printed and how it ended.
struct RunResult {
  int exit_code = -1;
  int signal = 0;
  std::string out;
  std::string err;
};

// Runs a command to its end with `input` as its stdin. Aborts the test where it does not end
// within kPatience.
RunResult run(ProcessOptions options, std::string_view input = {});

// A directory that goes away with its owner, unless the variable LIGNUM_KEEP is set.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  TemporaryDirectory(TemporaryDirectory&&) = delete;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

[[nodiscard]] std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view text);

// True when the long versions of the proofs are asked for (LIGNUM_PROOF=full).
[[nodiscard]] bool full_proof();

}  // namespace lignum::cluster
