#include "cli/contexts.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <expected>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/endpoint_text.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

std::unexpected<Error> refuse(const toml::source_position& where, std::string_view what) {
  return fail(Errc::kInvalidArgument,
              fmt::format("configuration, line {}, column {}: {}", where.line, where.column, what));
}

// toml++ throws; nothing leaves this function.
Result<toml::table> parse_table(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    return refuse(error.source().begin, error.description());
  }
}

Result<Context> parse_context(std::string_view name, const toml::table& table) {
  Context context;
  for (const auto& [key, value] : table) {
    if (key.str() != "endpoints") {
      return refuse(
          value.source().begin,
          fmt::format("context '{}' has no setting '{}'; there is: endpoints", name, key.str()));
    }
    const toml::array* const list = value.as_array();
    if (list == nullptr)
      return refuse(value.source().begin, "endpoints is a list of \"host:port\"");
    for (const toml::node& element : *list) {
      const auto text = element.value<std::string>();
      if (!text) return refuse(element.source().begin, "an endpoint is a text \"host:port\"");
      auto parsed = parse_endpoints(*text);
      if (!parsed) return refuse(element.source().begin, parsed.error().message());
      std::ranges::move(*parsed, std::back_inserter(context.endpoints));
    }
  }
  if (context.endpoints.empty()) {
    return refuse(table.source().begin, fmt::format("context '{}' has no endpoints", name));
  }
  return context;
}

}  // namespace

Result<Contexts> parse_contexts(std::string_view text) {
  TRY_ASSIGN(table, parse_table(text));
  Contexts contexts;
  for (const auto& [key, value] : table) {
    if (key.str() == "current" && value.is_string()) {
      contexts.current = value.value<std::string>();
    } else if (key.str() == "contexts" && value.is_table()) {
      for (const auto& [name, node] : *value.as_table()) {
        const toml::table* const entry = node.as_table();
        if (entry == nullptr) return refuse(node.source().begin, "a context is a table");
        TRY_ASSIGN(context, parse_context(name.str(), *entry));
        contexts.by_name.emplace(std::string(name.str()), std::move(context));
      }
    } else {
      return refuse(
          value.source().begin,
          fmt::format("there is no setting '{}'; there are: current, contexts", key.str()));
    }
  }
  return contexts;
}

std::string print_contexts(const Contexts& contexts) {
  toml::table root;
  if (contexts.current) root.insert("current", *contexts.current);
  toml::table named;
  for (const auto& [name, context] : contexts.by_name) {
    toml::array endpoints;
    for (const std::string& endpoint : context.endpoints) endpoints.push_back(endpoint);
    toml::table table;
    table.insert("endpoints", std::move(endpoints));
    named.insert(name, std::move(table));
  }
  if (!named.empty()) root.insert("contexts", std::move(named));
  std::ostringstream out;
  out << root << "\n";
  return out.str();
}

Result<std::vector<std::string>> choose_endpoints(const EndpointChoice& choice,
                                                  const Contexts& contexts) {
  if (choice.endpoints) return *choice.endpoints;
  if (!choice.context && choice.environment_endpoints) {
    auto endpoints = parse_endpoints(*choice.environment_endpoints);
    if (endpoints) return endpoints;
    return fail(endpoints.error().code(), "LOGCTL_ENDPOINTS: " + endpoints.error().message());
  }
  const auto& said = choice.context ? choice.context : choice.environment_context;
  const auto& name = said ? said : contexts.current;
  if (!name) return std::vector<std::string>{std::string(kDefaultEndpoint)};
  const auto found = contexts.by_name.find(*name);
  if (found != contexts.by_name.end()) return found->second.endpoints;
  return fail(Errc::kNotFound,
              fmt::format("there is no context '{0}'; 'logctl context ls' lists them, "
                          "'logctl context add {0} HOST:PORT' makes it",
                          *name));
}

std::optional<std::string> config_path(const ConfigHome& home) {
  // A variable that is empty counts as not set.
  std::string config = home.logctl_config.value_or("");
  if (!config.empty()) return config;
  const std::string xdg = home.xdg_config_home.value_or("");
  if (!xdg.empty()) return xdg + "/logctl/config.toml";
  const std::string user = home.home.value_or("");
  if (!user.empty()) return user + "/.config/logctl/config.toml";
  return std::nullopt;
}

}  // namespace lignum::cli
