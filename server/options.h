#pragma once

// The settings of logd, and where each of them came from.
//
// Four layers, each overriding the one before: defaults < configuration file (TOML) < environment
// (LOGD_*) < flags. Every setting has one name, spelled alike in all of them: `log.level` is
// `level` in the table [log], LOGD_LOG_LEVEL, and --log-level. An unknown name is refused with the
// nearest known one; a wrong value is refused with what would be right. Values only: nothing here
// opens a socket or reads the environment by itself.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"

namespace lignum::server {

enum class LogFormat : std::uint8_t { kHuman, kJson, kLogfmt };

struct Options {
  std::string listen = "127.0.0.1:7400";
  std::string data = "./lignum-data";
  // Serve beyond loopback although there is neither TLS nor authentication.
  bool insecure = false;
  // Data groups of a new data directory; an existing one keeps its own number.
  std::uint32_t groups = 8;
  // Threads that run connections and groups; 0: one for each core.
  std::uint32_t lanes = 0;
  std::uint32_t flush_workers = 8;
  // Where the bound port is written for scripts; empty: nowhere.
  std::string port_file;

  std::string log_level = "info";
  LogFormat log_format = LogFormat::kHuman;

  // Of streams whose creator does not say.
  std::uint32_t stream_shards = 4;
  std::optional<std::chrono::milliseconds> stream_retention = std::chrono::days(7);
  std::optional<std::uint64_t> stream_retention_bytes;

  std::uint32_t connections_max = 4096;
  // Bytes of messages, of all connections together.
  std::uint64_t memory_max = std::uint64_t{512} << 20;
};

// Who set a value: "default", "/etc/lignum/logd.toml:3", "LOGD_LISTEN", "--listen".
using Sources = std::map<std::string, std::string, std::less<>>;

struct Settings {
  Options options;
  // By setting name; a missing name has its default.
  Sources sources;
};

// One name in all layers.
struct SettingInfo {
  std::string_view name;  // "log.level"
  std::string flag;       // "--log-level"
  std::string variable;   // "LOGD_LOG_LEVEL"
  std::string_view help;
  // A flag of this kind needs no value on the command line.
  bool is_switch = false;
};

// All settings, in the order in which --print-config prints them.
[[nodiscard]] std::vector<SettingInfo> setting_infos();

// Sets one value from text. kInvalidArgument says: source, name, what was found, what is right.
Result<void> apply_setting(Settings& settings, std::string_view name, std::string_view value,
                           const std::string& source);
// Applies the text of a configuration file; `file` is its name for messages.
Result<void> apply_toml(Settings& settings, std::string_view text, const std::string& file);
// Applies the variables that begin with LOGD_; others are ignored. LOGD_CONFIG is not a setting.
Result<void> apply_environment(Settings& settings,
                               std::span<const std::pair<std::string, std::string>> variables);
// Checks what no single value shows: the address may be served, the numbers are within bounds.
Result<void> validate(const Settings& settings);

// How many settings have another value than by default, whoever gave it.
[[nodiscard]] std::size_t count_changed(const Options& options);

// The effective settings as TOML, each with its source in a comment; parses back to the same.
[[nodiscard]] std::string print_config(const Settings& settings);

// The known name nearest to `name`; none when nothing is near.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view name,
                                                      std::span<const std::string> known);

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
// "127.0.0.1:7400", "[::1]:7400", "localhost:0".
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);
[[nodiscard]] bool is_loopback(std::string_view host);

// "64MiB", "1GB", "4096": bytes, below 2^63. Decimal and binary units.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
// "7d", "12h", "30m", "10s", "250ms".
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string print_size(std::uint64_t bytes);
[[nodiscard]] std::string print_duration(std::chrono::milliseconds duration);

}  // namespace lignum::server
