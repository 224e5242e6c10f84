#include "tests/cluster/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>  // mkdtemp
#include <sys/poll.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/check.h"

// glibc 2.36 forgot that this header may be included from C++.
extern "C" {
#include <sys/pidfd.h>
}

namespace lignum::cluster {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

int remaining_ms(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000));
}

// Both ends are closed in children: a child gets only what it is given.
std::pair<Handle, Handle> make_pipe() {
  std::array<int, 2> ends{};
  CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return {Handle(ends[0]), Handle(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) {
    out.push_back(word.data());
  }
  out.push_back(nullptr);
  return out;
}

}  // namespace

void Handle::close() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

Process::Process(const ProcessOptions& options) {
  std::vector<std::string> arguments = options.command;
  if (arguments.at(0).find('/') == std::string::npos) {
    arguments[0] = std::string(LIGNUM_BIN_DIR) + "/" + arguments[0];
  }
  std::vector<std::string> environment = options.environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  auto [child_input, input] = make_pipe();
  auto [output, child_output] = make_pipe();

  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), STDOUT_FILENO);
  if (!options.errors.empty()) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, options.errors.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
  }
  if (!options.directory.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());
  }
  const int failure = ::posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr,
                                    pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  CHECK(failure == 0);
  ended_ = Handle(::pidfd_open(pid_, 0));
  CHECK(ended_.get() >= 0);
  input_ = std::move(input);
  stdout_ = std::move(output);
  // A child that stops reading must end a write, not the test.
  static_cast<void>(::signal(SIGPIPE, SIG_IGN));
}

Process::~Process() {
  if (!ending_) {
    send_signal(SIGKILL);
    static_cast<void>(wait());
  }
}

void Process::send_signal(int signal) const {
  if (!ending_) {
    CHECK(::kill(pid_, signal) == 0);
  }
}

std::optional<Ending> Process::wait(milliseconds patience) {
  if (ending_) {
    return ending_;
  }
  pollfd ended{.fd = ended_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, static_cast<int>(patience.count())) != 1) {
    return std::nullopt;
  }
  int status = 0;
  CHECK(::waitpid(pid_, &status, 0) == pid_);
  ending_ = WIFSIGNALED(status) ? Ending{.signal = WTERMSIG(status)}
                                : Ending{.exit_code = WEXITSTATUS(status)};
  return ending_;
}

bool Process::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(input_.get(), text.data(), text.size());
    if (count <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Process::read_some() {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::read(stdout_.get(), buffer.data(), buffer.size());
  if (count > 0) {
    output_.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

bool Process::read_until(std::string_view text, milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (output_.find(text) == std::string::npos) {
    pollfd readable{.fd = stdout_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, remaining_ms(deadline)) != 1 || !read_some()) {
      return false;
    }
  }
  return true;
}

void Process::exchange(std::string_view input, milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  CHECK(::fcntl(input_.get(), F_SETFL, O_NONBLOCK) == 0);
  while (true) {
    if (input.empty()) {
      input_.close();
    }
    std::array<pollfd, 2> ready = {pollfd{.fd = stdout_.get(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = input_.get(), .events = POLLOUT, .revents = 0}};
    if (::poll(ready.data(), ready.size(), remaining_ms(deadline)) <= 0) {
      return;
    }
    if (ready[0].revents != 0 && !read_some()) {
      return;
    }
    if (ready[1].revents != 0 && input_.get() >= 0) {
      const ssize_t count = ::write(input_.get(), input.data(), input.size());
      // It does not want the rest.
      input.remove_prefix(count < 0 && errno != EAGAIN
                              ? input.size()
                              : static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
  }
}

RunResult run(ProcessOptions options, std::string_view input) {
  const TemporaryDirectory scratch;
  options.errors = scratch.path() / "stderr";
  Process process(options);
  process.exchange(input);
  const auto ending = process.wait();
  CHECK(ending.has_value());
  return {.exit_code = ending->exit_code,
          .signal = ending->signal,
          .out = process.output(),
          .err = read_file(options.errors)};
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "lignum-test-XXXXXX").string();
  CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  if (std::getenv("LIGNUM_KEEP") != nullptr) {
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

bool full_proof() {
  const char* proof = std::getenv("LIGNUM_PROOF");
  return proof != nullptr && std::string_view(proof) == "full";
}

}  // namespace lignum::cluster
