#include "cli/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cli/bench.h"
#include "cli/command_line.h"
#include "cli/completion.h"
#include "cli/context_verbs.h"
#include "cli/contexts.h"
#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/verify.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

namespace {

constexpr std::string_view kVersion = LIGNUM_VERSION;
constexpr std::chrono::milliseconds kCompletionTimeout{300};

std::atomic<bool> interrupted{false};

void on_signal(int /*signal*/) {
  // The second one does not wait for anything.
  if (interrupted.exchange(true)) std::_Exit(static_cast<int>(ExitCode::kInterrupted));
}

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

// A standard descriptor that is closed must not become that of a socket: what is printed would go
// there. The null device, opened the wrong way round, fails what is done with it.
void hold_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest that is free is this one.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor) return;
  }
}

TimeUs wall_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<std::unique_ptr<Client>> connect(const GlobalOptions& global, const Verb& verb) {
  ClientOptions options{.endpoints = global.endpoints,
                        .name = fmt::format("logctl {}", kVersion),
                        .connect_timeout = global.timeout,
                        .request_timeout = global.timeout};
  if (const auto* append = std::get_if<AppendOptions>(&verb)) {
    options.append_deadline = append->deadline;
    options.batch_bytes = append->batch_bytes;
    options.linger = append->linger;
    options.compression = append->compression;
  }
  auto client = Client::connect(std::move(options));
  if (client || client.error().code() != Errc::kUnavailable) return client;
  return fail(client.error().code(),
              client.error().message() +
                  "; is logd running? Start it with 'logd', or say where it is with --endpoints");
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

Outcome run_verb(Session& session, const Verb& verb) {
  return std::visit(
      Overloaded{[&](const AppendOptions& o) { return run_append(session, o); },
                 [&](const ReadOptions& o) { return run_read(session, o); },
                 [&](const StreamsCreateOptions& o) { return run_streams_create(session, o); },
                 [&](const StreamsListOptions& o) { return run_streams_list(session, o); },
                 [&](const StreamsDescribeOptions& o) { return run_streams_describe(session, o); },
                 [&](const StreamsTrimOptions& o) { return run_streams_trim(session, o); },
                 [&](const StreamsDeleteOptions& o) { return run_streams_delete(session, o); },
                 [&](const StatOptions& o) { return run_stat(session, o); },
                 [&](const LogLevelOptions& o) { return run_log_level(session, o); },
                 [&](const BenchAppendOptions& o) {
                   return run_bench_append(session.client, session.terminal,
                                           session.global.endpoints.front(), o,
                                           session.interrupted);
                 },
                 [&](const BenchReadOptions& o) {
                   return run_bench_read(session.client, session.terminal, o, session.interrupted);
                 },
                 [&](const auto&) -> Outcome {
                   return fail(Errc::kInternal, "this verb needs no server");
                 }},
      verb);
}

Outcome print_version(Terminal& terminal, const VersionOptions& options) {
  terminal.data(options.format == ListFormat::kJson
                    ? fmt::format("{{\"version\":\"{}\"}}\n", kVersion)
                    : fmt::format("logctl {}\n", kVersion));
  return ExitCode::kOk;
}

Outcome print_completion(Terminal& terminal, const CompletionOptions& options) {
  TRY_ASSIGN(script, completion_script(options.shell));
  terminal.data(script);
  return ExitCode::kOk;
}

// Names of streams too, where a server answers soon enough.
Outcome print_candidates(Terminal& terminal, const GlobalOptions& global,
                         const CompleteOptions& options) {
  for (const std::string& word : complete_words(options.words)) terminal.data(word + "\n");
  const std::string prefix = options.words.empty() ? std::string() : options.words.back();
  if (!stream_may_follow(options.words)) return ExitCode::kOk;
  auto client = Client::connect({.endpoints = global.endpoints,
                                 .name = "logctl completion",
                                 .connect_timeout = kCompletionTimeout,
                                 .request_timeout = kCompletionTimeout});
  if (!client) return ExitCode::kOk;
  const auto streams = (*client)->list_streams();
  if (!streams) return ExitCode::kOk;
  for (const StreamDescription& stream : *streams) {
    if (stream.name.starts_with(prefix)) terminal.data(stream.name + "\n");
  }
  return ExitCode::kOk;
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::optional<std::string> contexts_file() {
  return config_path({.logctl_config = variable("LOGCTL_CONFIG"),
                      .xdg_config_home = variable("XDG_CONFIG_HOME"),
                      .home = variable("HOME")});
}

Result<std::vector<std::string>> endpoints_of(const GlobalOptions& global) {
  if (!global.choice.needs_contexts()) return choose_endpoints(global.choice, {});
  TRY_ASSIGN(contexts, load_contexts(contexts_file()));
  return choose_endpoints(global.choice, contexts);
}

// The verbs that need no server; none where one is needed.
std::optional<Outcome> run_alone(Terminal& terminal, const Verb& verb) {
  return std::visit(Overloaded{[&](const VersionOptions& o) -> std::optional<Outcome> {
                                 return print_version(terminal, o);
                               },
                               [&](const CompletionOptions& o) -> std::optional<Outcome> {
                                 return print_completion(terminal, o);
                               },
                               [&](const ContextOptions& o) -> std::optional<Outcome> {
                                 return run_context(terminal, contexts_file(), o);
                               },
                               [&](const BenchLimitOptions& o) -> std::optional<Outcome> {
                                 return run_bench_limit(terminal, o, interrupted);
                               },
                               [&](const VerifyOptions& o) -> std::optional<Outcome> {
                                 return run_verify(terminal, o);
                               },
                               [&](const auto&) -> std::optional<Outcome> { return std::nullopt; }},
                    verb);
}

Outcome run(Terminal& terminal, CommandLine line) {
  if (auto outcome = run_alone(terminal, line.verb)) return *std::move(outcome);
  auto endpoints = endpoints_of(line.global);
  if (endpoints) line.global.endpoints = *endpoints;
  if (const auto* complete = std::get_if<CompleteOptions>(&line.verb)) {
    // Without endpoints no streams are offered, but verbs and flags are.
    return print_candidates(terminal, line.global, *complete);
  }
  TRY(endpoints);
  TRY_ASSIGN(client, connect(line.global, line.verb));
  Session session{
      .client = *client, .terminal = terminal, .global = line.global, .interrupted = interrupted};
  return run_verb(session, line.verb);
}

}  // namespace

int run_program(const std::vector<std::string>& words) {
  hold_standard_descriptors();
  catch_signals();
  auto parsed = parse_command_line(words, wall_now());
  if (!parsed) {
    fmt::print(stderr, "logctl: {}\n", visible(parsed.error().message()));
    return static_cast<int>(ExitCode::kUsage);
  }
  if (const auto* help = std::get_if<HelpText>(&*parsed)) {
    Terminal(ColorChoice::kNever).data(help->text);
    return 0;
  }
  const auto& line = std::get<CommandLine>(*parsed);
  Terminal terminal(line.global.color);
  if (line.global.quiet) terminal.set_quiet();
  const Outcome outcome = run(terminal, line);
  terminal.flush();
  if (outcome) return static_cast<int>(*outcome);
  terminal.error(outcome.error().message());
  return static_cast<int>(exit_code(outcome.error().code()));
}

}  // namespace lignum::cli
