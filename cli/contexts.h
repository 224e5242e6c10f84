#pragma once

// Named clusters: which nodes `--context NAME` means, and which one is meant without a word.
//
//     $XDG_CONFIG_HOME/logctl/config.toml        (~/.config where that is not set)
//
//     current = "prod"
//     [contexts.prod]
//     endpoints = ["10.0.0.1:7400", "10.0.0.2:7400"]
//
// A value; reading and writing the file is the caller's.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"

namespace lignum::cli {

struct Context {
  std::vector<std::string> endpoints;
};

struct Contexts {
  std::optional<std::string> current;
  std::map<std::string, Context, std::less<>> by_name;
};

// The text of the file. kInvalidArgument with line and column for what is not TOML, and for keys
// that are not known: a misspelt one would be ignored for ever.
[[nodiscard]] Result<Contexts> parse_contexts(std::string_view text);
[[nodiscard]] std::string print_contexts(const Contexts& contexts);

// From the strongest word to the weakest: a flag beats the environment.
struct EndpointChoice {
  std::optional<std::vector<std::string>> endpoints;  // --endpoints
  std::optional<std::string> context;                 // --context
  // LOGCTL_ENDPOINTS, as it is: it may be wrong where a flag makes that no matter.
  std::optional<std::string> environment_endpoints;
  std::optional<std::string> environment_context;  // LOGCTL_CONTEXT

  // False where a stronger word is there: then a file that cannot be read is no matter.
  [[nodiscard]] bool needs_contexts() const {
    return !endpoints && (context || !environment_endpoints);
  }
};
// kNotFound for a context that does not exist; kInvalidArgument for a wrong LOGCTL_ENDPOINTS.
[[nodiscard]] Result<std::vector<std::string>> choose_endpoints(const EndpointChoice& choice,
                                                                const Contexts& contexts);

// Where the file is; none without a home. LOGCTL_CONFIG names it outright.
struct ConfigHome {
  std::optional<std::string> logctl_config;
  std::optional<std::string> xdg_config_home;
  std::optional<std::string> home;
};
[[nodiscard]] std::optional<std::string> config_path(const ConfigHome& home);

}  // namespace lignum::cli
