// logd's settings: any configuration file, environment or value is taken or refused in words, and
// what was taken prints as a file that says the same.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/payload.h"
#include "server/options.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

void parse_values(std::string_view text) {
  static_cast<void>(server::parse_host_port(text));
  if (const auto size = server::parse_size(text)) {
    const auto again = server::parse_size(server::print_size(*size));
    CHECK(again.has_value() && *again == *size);
  }
  if (const auto duration = server::parse_duration(text)) {
    const auto again = server::parse_duration(server::print_duration(*duration));
    CHECK(again.has_value() && *again == *duration);
  }
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const auto kind = input.take<std::uint8_t>() % 3;
  const std::string_view text = text_of(input.rest());
  server::Settings settings;
  if (kind == 0) {
    if (!server::apply_toml(settings, text, "fuzz.toml")) return;
  } else if (kind == 1) {
    const auto equals = text.find('=');
    const std::vector<std::pair<std::string, std::string>> variables = {
        {"LOGD_" + std::string(text.substr(0, equals)),
         equals == std::string_view::npos ? "" : std::string(text.substr(equals + 1))}};
    if (!server::apply_environment(settings, variables)) return;
  } else {
    parse_values(text);
    for (const auto& info : server::setting_infos()) {
      static_cast<void>(server::apply_setting(settings, info.name, text, "fuzz"));
    }
  }
  static_cast<void>(server::validate(settings));
  const std::string printed = server::print_config(settings);
  server::Settings again;
  CHECK(server::apply_toml(again, printed, "printed.toml").has_value());
  again.sources = settings.sources;
  CHECK(server::print_config(again) == printed);
}

}  // namespace lignum::fuzz
