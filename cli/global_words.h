#pragma once

// The flags that every verb takes, as they were typed, and what they mean.

#include <optional>
#include <string>

#include "cli/contexts.h"
#include "cli/options.h"
#include "raft/error.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 is called so
class App;
}

namespace lignum::cli {

struct GlobalWords {
  std::optional<std::string> endpoints;
  std::optional<std::string> context;
  std::optional<std::string> timeout;
  std::string color = "auto";
  bool quiet = false;

  // The app keeps references to this.
  void declare(CLI::App& app);
  // kInvalidArgument names the flag or the variable that is wrong.
  [[nodiscard]] Result<GlobalOptions> options() const;
};

// What the environment alone says; an empty variable counts as not set.
[[nodiscard]] EndpointChoice environment_choice();

}  // namespace lignum::cli
