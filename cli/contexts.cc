#include "cli/contexts.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/error.h"

namespace lignum::cli {

namespace {

constexpr std::string_view kDefaultEndpoint = "127.0.0.1:7400";

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
      TRY_ASSIGN(parsed, parse_endpoints(*text));
      std::ranges::move(parsed, std::back_inserter(context.endpoints));
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

Result<std::vector<std::string>> parse_endpoints(std::string_view text) {
  std::vector<std::string> endpoints;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (one.empty()) continue;
    const std::size_t colon = one.rfind(':');
    const std::string_view port = colon == std::string_view::npos ? "" : one.substr(colon + 1);
    std::uint16_t number = 0;
    const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    const bool whole = error == std::errc{} && rest == port.data() + port.size() && number != 0;
    if (!whole || colon == 0) {
      return fail(
          Errc::kInvalidArgument,
          fmt::format("'{}' is not an endpoint; write HOST:PORT, as in {}; a port is 1 to 65535",
                      one, kDefaultEndpoint));
    }
    endpoints.emplace_back(one);
  }
  if (endpoints.empty()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("no endpoint was given; write HOST:PORT, as in {}", kDefaultEndpoint));
  }
  return endpoints;
}

Result<std::vector<std::string>> choose_endpoints(const EndpointChoice& choice,
                                                  const Contexts& contexts) {
  if (choice.said) return *choice.said;
  const auto& name = choice.context ? choice.context : contexts.current;
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
