#pragma once

// Records as text: one function of a record, an output format and nothing else.
//
//   short      Nov 23 10:00:00.123 stream warn message field=value
//   short-iso  the same with an RFC 3339 time
//   verbose    every field on a line of its own
//   cat        the message
//   raw        the value's bytes, then a newline
//   json       one object per line (docs/cli.md gives the schema); json-pretty over lines
//   logfmt     time=... level=... stream=... msg=... field=value
//   template   kcat letters: %t stream %p shard %o offset %T append time (ms) %k key %s value
//              %l level %h fields %n newline %% percent, \n \t \0

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cli/quantity_text.h"
#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

enum class OutputFormat : std::uint8_t {
  kShort,
  kShortIso,
  kVerbose,
  kCat,
  kRaw,
  kJson,
  kJsonPretty,
  kLogfmt,
};

[[nodiscard]] Result<OutputFormat> parse_output_format(std::string_view name);

// kInvalidArgument where a '%' is not followed by one of the letters that print_record knows.
[[nodiscard]] Result<void> check_template(std::string_view text);

enum class Escaping : std::uint8_t { kNone, kVisible };

struct PrintOptions {
  OutputFormat format = OutputFormat::kShort;
  std::optional<std::string> record_template;  // wins over format; as check_template takes it
  Zone zone = Zone::kLocal;
  // Control characters are made visible: output for a terminal.
  Escaping escaping = Escaping::kNone;
  bool color = false;
  // What is done to the text for people (not raw, json or logfmt) before it is coloured.
  std::function<std::string(std::string_view)> decorate;
};

// The text of one record, final newline included (but for templates).
[[nodiscard]] std::string print_record(const ReadRecord& record, const PrintOptions& options);

}  // namespace lignum::cli
