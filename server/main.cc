// logd: from the command line to a running App, and from signals to its end.

#include <malloc.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): SIGPIPE
#include <unistd.h>

#include <boost/system/errc.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/last_words.h"
#include "server/app.h"
#include "server/command_line.h"
#include "server/config_file.h"
#include "server/lane_ports.h"
#include "server/options.h"
#include "server/recover_command.h"
#include "server/signals.h"
#include "server/stderr_sink.h"

namespace {

using lignum::Errc;
using lignum::Result;
using namespace lignum::server;  // NOLINT(google-build-using-namespace): this file is its main

// What a stop may take beyond the time it gives itself: together below the five seconds that are
// promised.
constexpr std::chrono::milliseconds kBesideStop{250};
// For whoever reads stderr to take the last words of a process.
constexpr std::chrono::milliseconds kWordsWaitMax{1000};
// What each of glibc's arenas keeps instead of giving it back at once. Megabytes come and go with
// every read and every batch: getting them from the kernel anew each time cost a read from the page
// cache 40 % of its rate.
constexpr int kKeptHeapBytes = 8 << 20;

CommandInput gather_input(int argc, char** argv) {
  CommandInput input{.arguments = std::vector<std::string>(argv + 1, argv + argc),
                     .environment = {},
                     .read_file = read_config_file};
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view variable(*each);
    const auto equals = variable.find('=');
    if (equals == std::string_view::npos) continue;
    input.environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return input;
}

void say_last(std::string_view text) { write_last_words(text, kWordsWaitMax); }

int complain(const lignum::Error& error) {
  say_last(fmt::format("logd: {}\n", error.message()));
  return exit_code(error);
}

int recover(const Command& command) {
  const auto done = recover_groups(
      command.recover,
      {.data = command.settings.options.data,
       .now = read_clocks(),
       .read_file = [](const std::string& file) { return read_small_file(file, "file of facts"); },
       .print = [](const std::string& text) { fmt::print("{}", text); },
       .remark = [](const std::string& text) { fmt::print(stderr, "logd: {}\n", text); }});
  return done ? 0 : complain(done.error());
}

Result<Settings> read_settings(const CommandInput& input) {
  TRY_ASSIGN(command, parse_command_line(input));
  return std::move(command.settings);
}

// Until SIGTERM or SIGINT.
void serve(App& app, Signals& signals, const CommandInput& input) {
  constexpr std::chrono::seconds kLook{1};
  while (true) {
    switch (signals.wait(kLook)) {
      case Signals::Event::kNone:
        app.watch_directory();
        break;
      case Signals::Event::kReload:
        app.reload(read_settings(input));
        break;
      case Signals::Event::kStop:
        return;
    }
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
  signal(SIGPIPE, SIG_IGN);
  if (command->action == Action::kRecover) return recover(*command);
  // Before any other thread, and longer than the App, so that its end is watched too.
  Signals signals(App::kStopMax + kBesideStop);
  App app(std::move(command->settings));
  if (const auto started = app.start(); !started) return complain(started.error());
  serve(app, signals, input);
  // A stop that hangs ends here: everything acknowledged is on disk.
  if (!app.stop()) std::_Exit(0);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, kKeptHeapBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  lignum::set_last_words_writer(say_last);
  try {
    return run(argc, argv);
  } catch (const boost::system::system_error& error) {
    // Asio's, when it makes its queues.
    if (error.code() == boost::system::errc::too_many_files_open) {
      return complain({Errc::kTooManyFiles,
                       "too many open files: raise LimitNOFILE= of the service, or 'ulimit -n'"});
    }
    return complain({Errc::kInternal, fmt::format("unexpected: {}", error.what())});
  } catch (const std::exception& error) {
    return complain({Errc::kInternal, fmt::format("unexpected: {}", error.what())});
  }
}
