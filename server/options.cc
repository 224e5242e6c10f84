#include "server/options.h"

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"

namespace lignum::server {

namespace {

// How a value is read and printed. Printed text parses back to the same value.
struct Setting {
  std::string_view name;
  std::string_view help;
  // The TOML type of the printed value: text is quoted, the others are not.
  enum class Shape : std::uint8_t { kText, kNumber, kSwitch } shape;
  Result<void> (*parse)(Options&, std::string_view);
  std::string (*print)(const Options&);
};

using Shape = Setting::Shape;

template <std::uint32_t Options::* kMember, std::uint32_t kLow, std::uint32_t kHigh>
Result<void> parse_count(Options& options, std::string_view text) {
  std::uint32_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || value < kLow || value > kHigh) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not a whole number from {} to {}", text, kLow, kHigh));
  }
  options.*kMember = value;
  return {};
}

template <std::uint32_t Options::* kMember>
std::string print_count(const Options& options) {
  return fmt::format("{}", options.*kMember);
}

template <std::string Options::* kMember>
std::string print_text(const Options& options) {
  return options.*kMember;
}

Result<void> parse_listen(Options& options, std::string_view text) {
  TRY(parse_host_port(text));
  options.listen = text;
  return {};
}

Result<void> parse_data(Options& options, std::string_view text) {
  if (text.empty()) return fail(Errc::kInvalidArgument, "the data directory has no name");
  options.data = text;
  return {};
}

Result<void> parse_port_file(Options& options, std::string_view text) {
  options.port_file = text;
  return {};
}

Result<void> parse_insecure(Options& options, std::string_view text) {
  if (text != "true" && text != "false") {
    return fail(Errc::kInvalidArgument, fmt::format("'{}' is neither true nor false", text));
  }
  options.insecure = text == "true";
  return {};
}

constexpr std::uint64_t kMemoryMin = std::uint64_t{64} << 20;
constexpr std::array<std::string_view, 5> kLogLevels = {"trace", "debug", "info", "warn", "error"};

Result<void> parse_log_level(Options& options, std::string_view text) {
  if (std::ranges::find(kLogLevels, text) == kLogLevels.end()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not one of {}", text, fmt::join(kLogLevels, ", ")));
  }
  options.log_level = text;
  return {};
}

Result<void> parse_log_format(Options& options, std::string_view text) {
  if (text == "human") {
    options.log_format = LogFormat::kHuman;
  } else if (text == "json") {
    options.log_format = LogFormat::kJson;
  } else if (text == "logfmt") {
    options.log_format = LogFormat::kLogfmt;
  } else {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not one of human, json, logfmt", text));
  }
  return {};
}

std::string print_log_format(const Options& options) {
  switch (options.log_format) {
    case LogFormat::kHuman:
      return "human";
    case LogFormat::kJson:
      return "json";
    case LogFormat::kLogfmt:
      return "logfmt";
  }
  return "human";
}

Result<void> parse_retention(Options& options, std::string_view text) {
  if (text == "forever") {
    options.stream_retention.reset();
    return {};
  }
  TRY_ASSIGN(duration, parse_duration(text));
  if (duration <= std::chrono::milliseconds(0)) {
    return fail(Errc::kInvalidArgument,
                "a retention of 0 would keep nothing; write forever for no "
                "limit");
  }
  options.stream_retention = duration;
  return {};
}

Result<void> parse_retention_bytes(Options& options, std::string_view text) {
  if (text == "unlimited") {
    options.stream_retention_bytes.reset();
    return {};
  }
  TRY_ASSIGN(bytes, parse_size(text));
  if (bytes == 0) {
    return fail(Errc::kInvalidArgument,
                "a retention of 0 bytes would keep nothing; write unlimited "
                "for no limit");
  }
  options.stream_retention_bytes = bytes;
  return {};
}

Result<void> parse_memory(Options& options, std::string_view text) {
  TRY_ASSIGN(bytes, parse_size(text));
  if (bytes < kMemoryMin) {
    return fail(Errc::kInvalidArgument,
                "that is less than a few messages of the largest size need; "
                "give at least 64MiB");
  }
  options.memory_max = bytes;
  return {};
}

constexpr std::array kSettings = {
    Setting{.name = "listen",
            .help = "address to serve clients on (HOST:PORT; port 0: any free one)",
            .shape = Shape::kText,
            .parse = parse_listen,
            .print = print_text<&Options::listen>},
    Setting{.name = "data",
            .help = "data directory; made where it does not exist",
            .shape = Shape::kText,
            .parse = parse_data,
            .print = print_text<&Options::data>},
    Setting{.name = "insecure",
            .help = "serve beyond loopback without TLS and authentication",
            .shape = Shape::kSwitch,
            .parse = parse_insecure,
            .print = [](const Options& o) { return std::string(o.insecure ? "true" : "false"); }},
    Setting{.name = "groups",
            .help = "data groups of a new data directory (1-1024)",
            .shape = Shape::kNumber,
            .parse = parse_count<&Options::groups, 1, 1024>,
            .print = print_count<&Options::groups>},
    Setting{.name = "lanes",
            .help = "threads that run connections and groups; 0: one for each core",
            .shape = Shape::kNumber,
            .parse = parse_count<&Options::lanes, 0, 256>,
            .print = print_count<&Options::lanes>},
    Setting{.name = "flush_workers",
            .help = "threads that write and sync (1-256)",
            .shape = Shape::kNumber,
            .parse = parse_count<&Options::flush_workers, 1, 256>,
            .print = print_count<&Options::flush_workers>},
    Setting{.name = "port_file",
            .help = "write the bound port to this file once serving",
            .shape = Shape::kText,
            .parse = parse_port_file,
            .print = print_text<&Options::port_file>},
    Setting{.name = "log.level",
            .help = "trace, debug, info, warn or error",
            .shape = Shape::kText,
            .parse = parse_log_level,
            .print = print_text<&Options::log_level>},
    Setting{.name = "log.format",
            .help = "human, json or logfmt",
            .shape = Shape::kText,
            .parse = parse_log_format,
            .print = print_log_format},
    Setting{.name = "streams.shards",
            .help = "shards of a stream whose creator does not say (1-1024)",
            .shape = Shape::kNumber,
            .parse = parse_count<&Options::stream_shards, 1, 1024>,
            .print = print_count<&Options::stream_shards>},
    Setting{.name = "streams.retention",
            .help = "age at which records go (7d, 12h ... or forever)",
            .shape = Shape::kText,
            .parse = parse_retention,
            .print =
                [](const Options& o) {
                  return o.stream_retention ? print_duration(*o.stream_retention) : "forever";
                }},
    Setting{.name = "streams.retention_bytes",
            .help = "size at which a stream's oldest records go (or unlimited)",
            .shape = Shape::kText,
            .parse = parse_retention_bytes,
            .print =
                [](const Options& o) {
                  return o.stream_retention_bytes ? print_size(*o.stream_retention_bytes)
                                                  : "unlimited";
                }},
    Setting{.name = "limits.connections",
            .help = "connections served at once (1-65536)",
            .shape = Shape::kNumber,
            .parse = parse_count<&Options::connections_max, 1, 65536>,
            .print = print_count<&Options::connections_max>},
    Setting{.name = "limits.memory",
            .help = "what messages of all connections may hold together (64MiB or more)",
            .shape = Shape::kText,
            .parse = parse_memory,
            .print = [](const Options& o) { return print_size(o.memory_max); }},
};

const Setting* find_setting(std::string_view name) {
  const auto* found = std::ranges::find(kSettings, name, &Setting::name);
  return found == kSettings.end() ? nullptr : found;
}

std::string respell(std::string_view name, std::string_view prefix, char separator, bool upper) {
  std::string out(prefix);
  for (const char c : name) {
    if (c == '.' || c == '_') {
      out.push_back(separator);
    } else {
      out.push_back(upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c);
    }
  }
  return out;
}

std::unexpected<Error> unknown_name(const std::string& source, std::string_view what,
                                    std::string_view name, std::span<const std::string> known) {
  const auto near = nearest_name(name, known);
  return fail(Errc::kInvalidArgument, fmt::format("{}: unknown {} '{}'{}", source, what, name,
                                                  near ? fmt::format("; did you mean '{}'?", *near)
                                                       : "; see logd --help for the known ones"));
}

// A TOML value as the text that the same setting takes elsewhere.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

Result<void> apply_table(Settings& settings, const toml::table& table, const std::string& prefix,
                         const std::string& file) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::string where = fmt::format("{}:{}", file, key.source().begin.line);
    const bool known_table = std::ranges::any_of(kSettings, [&name](const Setting& setting) {
      return setting.name.starts_with(name + ".");
    });
    if (known_table && node.is_table()) {
      TRY(apply_table(settings, *node.as_table(), name + ".", file));
      continue;
    }
    if (find_setting(name) == nullptr) {
      std::vector<std::string> known;
      known.reserve(kSettings.size());
      for (const Setting& setting : kSettings) known.emplace_back(setting.name);
      return unknown_name(where, "setting", name, known);
    }
    const auto text = text_of(node);
    if (!text) {
      return fail(
          Errc::kInvalidArgument,
          fmt::format("{}: {} takes one value: a text, a number, true or false", where, name));
    }
    TRY(apply_setting(settings, name, *text, where));
  }
  return {};
}

// What TOML's grammar does not tell: the most frequent mistake is a text without quotes.
std::string_view quotes_hint(std::string_view text, std::size_t line_number) {
  for (std::size_t line = 1; line < line_number && text.contains('\n'); ++line) {
    text.remove_prefix(text.find('\n') + 1);
  }
  text = text.substr(0, text.find('\n'));
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return "";
  const std::size_t value = text.find_first_not_of(" \t\r", equals + 1);
  constexpr std::string_view kNoPlainText = "\"'[{#";
  if (value == std::string_view::npos || kNoPlainText.contains(text[value])) return "";
  return "; text needs quotes, such as listen = \"127.0.0.1:7400\"";
}

// toml++ throws in this configuration; nothing leaves this function.
Result<toml::table> parse_toml(std::string_view text, const std::string& file) {
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{}:{}: {}{}", file, error.source().begin.line, error.description(),
                            quotes_hint(text, error.source().begin.line)));
  }
}

}  // namespace

std::vector<SettingInfo> setting_infos() {
  std::vector<SettingInfo> infos;
  infos.reserve(kSettings.size());
  for (const Setting& setting : kSettings) {
    infos.push_back({.name = setting.name,
                     .flag = respell(setting.name, "--", '-', false),
                     .variable = respell(setting.name, "LOGD_", '_', true),
                     .help = setting.help,
                     .is_switch = setting.shape == Shape::kSwitch});
  }
  return infos;
}

namespace {

// Bytes of the UTF-8 sequence that begins with `lead`; 0 where none does.
std::size_t sequence_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// The character of one whole sequence; none where it is overlong, beyond Unicode or half of a
// surrogate pair.
std::optional<std::uint32_t> code_point(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence.front());
  std::uint32_t code = sequence.size() == 1 ? lead : lead & (0x7FU >> sequence.size());
  for (const char byte : sequence.substr(1)) {
    const auto next = static_cast<unsigned char>(byte);
    if ((next & 0xC0U) != 0x80U) return std::nullopt;
    code = (code << 6) | (next & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kSmallest.at(sequence.size()) || code > 0x10FFFF || surrogate) return std::nullopt;
  return code;
}

// UTF-8 without control characters: what print_config can print so that it parses back to the same.
bool is_plain_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = sequence_bytes(static_cast<unsigned char>(text.front()));
    if (bytes == 0 || bytes > text.size()) return false;
    const auto code = code_point(text.substr(0, bytes));
    if (!code || *code < 0x20 || *code == 0x7F) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace

Result<void> apply_setting(Settings& settings, std::string_view name, std::string_view value,
                           const std::string& source) {
  const Setting* setting = find_setting(name);
  if (setting == nullptr) {
    return fail(Errc::kInvalidArgument, fmt::format("{}: unknown setting '{}'", source, name));
  }
  if (!is_plain_text(value)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{}: {}: must be one line of UTF-8 text", source, name));
  }
  const Result<void> parsed = setting->parse(settings.options, value);
  if (!parsed) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{}: {}: {}", source, name, parsed.error().message()));
  }
  settings.sources.insert_or_assign(std::string(name), source);
  return {};
}

Result<void> apply_toml(Settings& settings, std::string_view text, const std::string& file) {
  TRY_ASSIGN(table, parse_toml(text, file));
  return apply_table(settings, table, "", file);
}

Result<void> apply_environment(Settings& settings,
                               std::span<const std::pair<std::string, std::string>> variables) {
  const std::vector<SettingInfo> infos = setting_infos();
  for (const auto& [variable, value] : variables) {
    if (!variable.starts_with("LOGD_") || variable == "LOGD_CONFIG") continue;
    const auto info = std::ranges::find(infos, variable, &SettingInfo::variable);
    if (info == infos.end()) {
      std::vector<std::string> known = {"LOGD_CONFIG"};
      for (const SettingInfo& each : infos) known.push_back(each.variable);
      return unknown_name("environment", "variable", variable, known);
    }
    TRY(apply_setting(settings, info->name, value, variable));
  }
  return {};
}

Result<void> validate(const Settings& settings) {
  TRY_ASSIGN(address, parse_host_port(settings.options.listen));
  if (is_loopback(address.host) || settings.options.insecure) return {};
  const auto source = settings.sources.find("listen");
  return fail(Errc::kInvalidArgument,
              fmt::format("{}: listen: {} is reachable from other machines, and this version has "
                          "neither TLS nor authentication: anybody there could read and write "
                          "every stream. Listen on 127.0.0.1, or say --insecure if the network is "
                          "trusted",
                          source == settings.sources.end() ? "default" : source->second,
                          settings.options.listen));
}

std::size_t count_changed(const Options& options) {
  const Options defaults;
  return static_cast<std::size_t>(
      std::ranges::count_if(kSettings, [&options, &defaults](const Setting& setting) {
        return setting.print(options) != setting.print(defaults);
      }));
}

std::string print_config(const Settings& settings) {
  std::string out;
  std::string_view table;
  for (const Setting& setting : kSettings) {
    std::string_view key = setting.name;
    if (const auto dot = key.find('.'); dot != std::string_view::npos) {
      if (key.substr(0, dot) != table) {
        table = key.substr(0, dot);
        out += fmt::format("\n[{}]\n", table);
      }
      key.remove_prefix(dot + 1);
    }
    std::string value = setting.print(settings.options);
    if (setting.shape == Shape::kText) {
      std::string quoted;
      for (const char c : value) {
        if (c == '"' || c == '\\') quoted.push_back('\\');
        quoted.push_back(c);
      }
      value = fmt::format("\"{}\"", quoted);
    }
    const auto source = settings.sources.find(setting.name);
    const std::string line = fmt::format("{} = {}", key, value);
    out += fmt::format("{:<36} # {}\n", line,
                       source == settings.sources.end() ? "default" : source->second);
  }
  return out;
}

}  // namespace lignum::server
