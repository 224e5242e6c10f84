#include "cli/context_verbs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/contexts.h"
#include "cli/endpoint_text.h"
#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text_file.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;

Result<void> store_contexts(const std::string& path, const Contexts& contexts) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) {
    return fail(Errc::kIo,
                fmt::format("cannot make the directory of '{}': {}", path, error.message()));
  }
  return replace_text_file(path, print_contexts(contexts));
}

Result<void> require(const Contexts& contexts, const std::string& name) {
  if (contexts.by_name.contains(name)) return {};
  return fail(Errc::kNotFound,
              fmt::format("there is no context '{}'; 'logctl context ls' lists them", name));
}

void list(Terminal& terminal, const Contexts& contexts, ListFormat format) {
  if (format == ListFormat::kJson) {
    for (const auto& [name, context] : contexts.by_name) {
      json::array endpoints;
      for (const std::string& endpoint : context.endpoints) {
        endpoints.emplace_back(json::string(endpoint.data(), endpoint.size()));
      }
      const json::object line = {{"name", json::string(name.data(), name.size())},
                                 {"current", name == contexts.current},
                                 {"endpoints", std::move(endpoints)}};
      terminal.data(json::serialize(line) + "\n");
    }
    return;
  }
  if (contexts.by_name.empty()) {
    terminal.status("no contexts yet; make one with 'logctl context add NAME HOST:PORT'");
    return;
  }
  Table table({"", "NAME", "ENDPOINTS"});
  for (const auto& [name, context] : contexts.by_name) {
    table.add({name == contexts.current ? "*" : "", name,
               fmt::format("{}", fmt::join(context.endpoints, ","))});
  }
  terminal.data(table.text());
}

Result<void> change(const ContextOptions& options, Contexts& contexts) {
  if (options.action == ContextAction::kAdd) {
    TRY_ASSIGN(endpoints, parse_endpoints(options.endpoints));
    if (options.name.empty()) return fail(Errc::kInvalidArgument, "a context needs a name");
    contexts.by_name[options.name] = {.endpoints = std::move(endpoints)};
    if (!contexts.current) contexts.current = options.name;
    return {};
  }
  TRY(require(contexts, options.name));
  if (options.action == ContextAction::kUse) {
    contexts.current = options.name;
  } else {
    contexts.by_name.erase(options.name);
    if (contexts.current == options.name) contexts.current.reset();
  }
  return {};
}

}  // namespace

Result<Contexts> load_contexts(const std::optional<std::string>& path) {
  if (!path) return Contexts{};
  TRY_ASSIGN(text, read_text_file(*path));
  if (!text) return Contexts{};
  auto contexts = parse_contexts(*text);
  if (contexts) return contexts;
  return fail(contexts.error().code(), *path + ": " + contexts.error().message());
}

Result<ExitCode> run_context(Terminal& terminal, const std::optional<std::string>& path,
                             const ContextOptions& options) {
  TRY_ASSIGN(contexts, load_contexts(path));
  if (options.action == ContextAction::kList) {
    list(terminal, contexts, options.format);
    return ExitCode::kOk;
  }
  if (options.action == ContextAction::kShow) {
    EndpointChoice choice;
    if (!options.name.empty()) choice.context = options.name;
    TRY_ASSIGN(endpoints, choose_endpoints(choice, contexts));
    for (const std::string& endpoint : endpoints) terminal.data(endpoint + "\n");
    return ExitCode::kOk;
  }
  if (!path) {
    return fail(Errc::kNotFound, "no place for the configuration: set HOME or LOGCTL_CONFIG");
  }
  TRY(change(options, contexts));
  TRY(store_contexts(*path, contexts));
  terminal.status(fmt::format("current context: {}", contexts.current.value_or("none")));
  return ExitCode::kOk;
}

}  // namespace lignum::cli
