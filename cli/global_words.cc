#include "cli/global_words.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "cli/contexts.h"
#include "cli/endpoint_text.h"
#include "cli/flag_value.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/terminal.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

std::optional<std::string> variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace

EndpointChoice environment_choice() {
  EndpointChoice choice;
  choice.environment_endpoints = variable("LOGCTL_ENDPOINTS");
  choice.environment_context = variable("LOGCTL_CONTEXT");
  return choice;
}

// CLI11 could take the variables by itself, but then would not tell a flag from a variable.
void GlobalWords::declare(CLI::App& app) {
  app.add_option("-e,--endpoints", endpoints,
                 "HOST:PORT,... of nodes (LOGCTL_ENDPOINTS) [127.0.0.1:7400]");
  app.add_option("--context", context,
                 "A cluster named with 'logctl context add' (LOGCTL_CONTEXT)");
  app.add_option("--timeout", timeout,
                 "Give up where nothing is heard for this long (LOGCTL_TIMEOUT) [10s]");
  app.add_option("--color", color, "auto, always or never [auto]");
  app.add_flag("-q,--quiet", quiet, "No summaries on standard error");
}

Result<GlobalOptions> GlobalWords::options() const {
  GlobalOptions global;
  global.quiet = quiet;
  global.choice = environment_choice();
  global.choice.context = context;
  if (endpoints) {
    TRY_ASSIGN(parsed, flag_value("--endpoints", parse_endpoints(*endpoints)));
    global.choice.endpoints = std::move(parsed);
  }
  const auto from_environment = variable("LOGCTL_TIMEOUT");
  if (const auto& said = timeout ? timeout : from_environment) {
    TRY_ASSIGN(parsed, flag_value(timeout ? "--timeout" : "LOGCTL_TIMEOUT", parse_wait(*said)));
    global.timeout = parsed;
  }
  if (color != "auto" && color != "always" && color != "never") {
    return fail(Errc::kInvalidArgument,
                fmt::format("--color takes auto, always or never, not '{}'", color));
  }
  if (color == "always") global.color = ColorChoice::kAlways;
  if (color == "never") global.color = ColorChoice::kNever;
  return global;
}

}  // namespace lignum::cli
