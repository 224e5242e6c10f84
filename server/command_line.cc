#include "server/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <expected>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/protocol_version.h"
#include "raft/error.h"
#include "server/options.h"
#include "storage/identity_file.h"

namespace lignum::server {

namespace {

constexpr std::string_view kFooter = R"(
Settings come from four places, the later ones win: defaults, the file given with
--config (or LOGD_CONFIG), LOGD_* variables, flags.

'logd recover-group' lets groups go on after a majority was lost for ever, with the data
directory that --data names: docs/operating/lost-quorum.md.

Signals: SIGTERM and SIGINT drain and stop within five seconds, a second one stops at
once; SIGHUP reads log.level again.

Exit codes:
  0  stopped, done as asked  5  the address is in use or cannot be served
  2  wrong flag or setting   7  data directory: damaged, full, in use, unreadable, taken away
  1  anything else)";

struct Flags {
  // By setting name; the app owns them and holds what was given.
  std::map<std::string, const CLI::Option*, std::less<>> settings;
  std::string config;
  // Owned by the app as well.
  const CLI::Option* config_option = nullptr;
  bool print_config = false;
  bool version = false;
  RecoverRequest recover;
};

void declare(CLI::App& app, Flags& flags) {
  flags.config_option =
      app.add_option("--config", flags.config, "configuration file (TOML)")->type_name("FILE");
  for (const SettingInfo& info : setting_infos()) {
    // Const: CLI11 takes a second argument for its result where that can be written.
    const std::string help = fmt::format("{} [{}]", info.help, info.variable);
    CLI::Option* const option = info.is_switch
                                    ? app.add_flag(info.flag, help)
                                    : app.add_option(info.flag, help)->type_name("VALUE");
    flags.settings[std::string(info.name)] = option;
  }
}

std::string flag_of(std::string_view name) {
  for (const SettingInfo& info : setting_infos()) {
    if (info.name == name) return info.flag;
  }
  return std::string(name);
}

CLI::App* declare_recovery(CLI::App& app, RecoverRequest& request) {
  CLI::App* const recover = app.add_subcommand(
      "recover-group",
      "go on after a majority was lost for ever, with a data directory that is not served "
      "(docs/operating/lost-quorum.md)");
  recover
      ->add_option("--survivors", request.survivors,
                   "files with what each surviving node said; without: say it of this one")
      ->type_name("FILE");
  recover->add_option("--group", request.group, "only this group; without: every one")
      ->type_name("N");
  recover->add_flag("--dry-run", request.dry_run, "say what would be done and change nothing");
  recover->fallthrough();
  return recover;
}

// CLI11's own message names the flag but suggests nothing.
std::unexpected<Error> refuse(const CommandInput& input, const CLI::ParseError& error) {
  std::vector<std::string> known = {"--config",    "--print-config", "--version", "--help",
                                    "--survivors", "--group",        "--dry-run"};
  for (const SettingInfo& info : setting_infos()) known.push_back(info.flag);
  for (const std::string& argument : input.arguments) {
    const std::string flag = argument.substr(0, argument.find('='));
    if (!flag.starts_with("-") || std::ranges::find(known, flag) != known.end()) continue;
    const auto near = nearest_name(flag, known);
    return fail(
        Errc::kInvalidArgument,
        fmt::format("unknown flag '{}'{}", flag,
                    near ? fmt::format("; did you mean '{}'?", *near) : "; see logd --help"));
  }
  return fail(Errc::kInvalidArgument, fmt::format("{}; see logd --help", error.what()));
}

Result<Settings> gather(const CommandInput& input, const Flags& flags) {
  Settings settings;
  if (flags.config_option->count() > 0 && flags.config.empty()) {
    return fail(Errc::kInvalidArgument,
                "--config: the file has no name: name one, or leave the flag out");
  }
  std::string file = flags.config;
  for (const auto& [variable, value] : input.environment) {
    if (variable == "LOGD_CONFIG" && file.empty()) file = value;
  }
  if (!file.empty()) {
    TRY_ASSIGN(text, input.read_file(file));
    TRY(apply_toml(settings, text, file));
  }
  TRY(apply_environment(settings, input.environment));
  for (const auto& [name, option] : flags.settings) {
    // A switch that says nothing of itself has the result "true".
    if (!option->empty()) {
      TRY(apply_setting(settings, name, option->results().back(), flag_of(name)));
    }
  }
  TRY(validate(settings));
  return settings;
}

}  // namespace

std::string version_text() {
  return fmt::format("logd {} (data format {}, {} with members; protocol {})\n", kServerVersion,
                     storage::kDataFormatVersion, storage::kDataFormatVersionMembers,
                     net::kProtocolVersion);
}

// CLI11 throws to say what it found; nothing leaves this function.
Result<Command> parse_command_line(const CommandInput& input) {
  Flags flags;
  CLI::App app("Lignum's server: a durable log.", "logd");
  app.footer(std::string(kFooter));
  app.set_help_flag("--help,-h", "print this and end");
  app.add_flag("--version", flags.version, "print the version and end");
  app.add_flag("--print-config", flags.print_config,
               "print the settings in effect and where each came from, and end");
  CLI::App* check = app.add_subcommand("check-config", "check the configuration and end");
  declare(app, flags);
  check->fallthrough();
  const CLI::App* const recover = declare_recovery(app, flags.recover);
  std::vector<std::string> reversed(input.arguments.rbegin(), input.arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return Command{.action = Action::kPrint, .text = app.help(), .settings = {}, .recover = {}};
  } catch (const CLI::ParseError& error) {
    return refuse(input, error);
  }
  if (flags.version) {
    return Command{.action = Action::kPrint, .text = version_text(), .settings = {}, .recover = {}};
  }
  TRY_ASSIGN(settings, gather(input, flags));
  if (check->parsed()) {
    const std::size_t changed = count_changed(settings.options);
    return Command{
        .action = Action::kPrint,
        .text = fmt::format("the configuration is fine ({} of {} settings differ{} from the "
                            "defaults)\n",
                            changed, setting_infos().size(), changed == 1 ? "s" : ""),
        .settings = std::move(settings),
        .recover = {}};
  }
  if (recover->parsed()) {
    return Command{.action = Action::kRecover,
                   .text = {},
                   .settings = std::move(settings),
                   .recover = std::move(flags.recover)};
  }
  if (flags.print_config) {
    std::string text = print_config(settings);
    return Command{.action = Action::kPrint,
                   .text = std::move(text),
                   .settings = std::move(settings),
                   .recover = {}};
  }
  return Command{
      .action = Action::kServe, .text = {}, .settings = std::move(settings), .recover = {}};
}

}  // namespace lignum::server
