#pragma once

// The command line of logd: from arguments, environment and configuration file to one decision.
//
//     logd [flags]                      serve
//     logd check-config [--config F]    check the configuration and say so
//     logd --print-config [flags]       print what would be in effect, and why
//     logd recover-group [flags]        a group goes on after a majority was lost
//     (recover_command.h) logd --version, logd --help

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "server/options.h"

namespace lignum::server {

enum class Action : std::uint8_t {
  kServe,
  kPrint,  // write `text` to stdout and end with success
  kRecover,
};

// What `logd recover-group` was told.
struct RecoverRequest {
  // Files with facts; none: write those of this node.
  std::vector<std::string> survivors;
  // Only this one.
  std::optional<std::uint32_t> group;
  bool dry_run = false;
};

struct Command {
  Action action = Action::kServe;
  std::string text;
  Settings settings;
  RecoverRequest recover;
};

// What the command line needs from the process it runs in.
struct CommandInput {
  // Without the program's name.
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
  // The text of a file, or kNotFound / kIo.
  std::function<Result<std::string>(const std::string&)> read_file;
};

// kInvalidArgument with one sentence about what is wrong: exit code 2.
[[nodiscard]] Result<Command> parse_command_line(const CommandInput& input);

// "logd 0.1.0 ...", one line.
[[nodiscard]] std::string version_text();
inline constexpr const char* kServerVersion = "0.1.0";

}  // namespace lignum::server
