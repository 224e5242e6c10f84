#pragma once

// The command line of logd: from arguments, environment and configuration file to one decision.
//
//     logd [flags]                      serve
//     logd check-config [--config F]    check the configuration and say so
//     logd --print-config [flags]       print what would be in effect, and why
//     logd --version, logd --help

#include <cstdint>
#include <functional>
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
};

struct Command {
  Action action = Action::kServe;
  std::string text;
  Settings settings;
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
