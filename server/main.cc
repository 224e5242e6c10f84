// logd: from the command line to a running App, and from signals to its end.

#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigwait and signal sets
#include <unistd.h>

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"
#include "server/app.h"
#include "server/command_line.h"
#include "server/options.h"

namespace {

using lignum::Errc;
using lignum::fail;
using lignum::Result;
using namespace lignum::server;  // NOLINT(google-build-using-namespace): this file is its main

Result<std::string> read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) {
    return fail(Errc::kInvalidArgument,
                fmt::format("cannot read the configuration file {}: {}", name,
                            std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe): one thread
  }
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

CommandInput gather_input(int argc, char** argv) {
  CommandInput input{.arguments = std::vector<std::string>(argv + 1, argv + argc),
                     .environment = {},
                     .read_file = read_file};
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view variable(*each);
    const auto equals = variable.find('=');
    if (equals == std::string_view::npos) continue;
    input.environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return input;
}

int complain(const lignum::Error& error) {
  fmt::print(stderr, "logd: {}\n", error.message());
  return exit_code(error);
}

sigset_t awaited_signals() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Until SIGTERM or SIGINT.
void serve(App& app, const sigset_t& signals, const CommandInput& input) {
  constexpr timespec kLook{.tv_sec = 1, .tv_nsec = 0};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &kLook);
    if (signal < 0) {
      app.watch_directory();
      continue;
    }
    if (signal != SIGHUP) return;
    const auto command = parse_command_line(input);
    if (command) app.set_log_level(command->settings.options.log_level);
  }
}

int run(int argc, char** argv) {
  const CommandInput input = gather_input(argc, argv);
  auto command = parse_command_line(input);
  if (!command) return complain(command.error());
  if (command->action == Action::kPrint) {
    fmt::print("{}", command->text);
    return 0;
  }
  // Blocked before any thread is made, so that all inherit it and sigwait gets them.
  const sigset_t signals = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  App app(std::move(command->settings));
  if (const auto started = app.start(); !started) return complain(started.error());
  serve(app, signals, input);
  // A stop that hangs ends here: everything acknowledged is on disk.
  if (!app.stop()) std::_Exit(0);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const boost::system::system_error& error) {
    // Asio's, when it makes its queues.
    if (error.code() == boost::system::errc::too_many_files_open) {
      return complain({Errc::kTooManyFiles,
                       "too many open files: raise LimitNOFILE= of the service, or 'ulimit -n'"});
    }
    std::fprintf(stderr, "logd: unexpected: %s\n", error.what());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "logd: unexpected: %s\n", error.what());
    return 1;
  }
}
