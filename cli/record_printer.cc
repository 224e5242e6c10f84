#include "cli/record_printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "cli/quantity_text.h"
#include "cli/terminal.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/level.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;

constexpr std::array<std::pair<std::string_view, OutputFormat>, 8> kFormats = {
    {{"short", OutputFormat::kShort},
     {"short-iso", OutputFormat::kShortIso},
     {"verbose", OutputFormat::kVerbose},
     {"cat", OutputFormat::kCat},
     {"raw", OutputFormat::kRaw},
     {"json", OutputFormat::kJson},
     {"json-pretty", OutputFormat::kJsonPretty},
     {"logfmt", OutputFormat::kLogfmt}}};

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view level_color(Level level) {
  const auto number = static_cast<unsigned>(level);
  if (number >= 17) return "\x1b[1;31m";
  if (number >= 13) return "\x1b[1;33m";
  if (number >= 9) return "\x1b[0m";
  return "\x1b[2m";
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= count ? kDigits[group >> (18 - 6 * j) & 63U] : '=';
    }
  }
  return out;
}

// Text where it is UTF-8, {"base64": "..."} where it is not.
json::value json_text(std::string_view bytes) {
  if (is_utf8(bytes)) return json::string(bytes.data(), bytes.size());
  json::object wrapped;
  wrapped["base64"] = base64(bytes);
  return wrapped;
}

json::object json_record(const ReadRecord& record) {
  json::object out;
  out["stream"] = json::string(record.stream.data(), record.stream.size());
  out["shard"] = record.shard.value();
  out["offset"] = record.offset.value();
  out["time"] = rfc3339(record.append_time, Zone::kUtc);
  out["event_time"] = rfc3339(record.event_time * 1000, Zone::kUtc);
  out["level"] = nullptr;
  if (record.level) {
    const auto name = level_name(*record.level);
    out["level"] = json::string(name.data(), name.size());
  }
  out["msg"] = json_text(text_of(record.value));
  out["key"] = nullptr;
  if (record.key) out["key"] = json_text(text_of(*record.key));
  json::object fields;
  for (const FieldView& field : record.fields) {
    const json::string_view name(field.name.data(), field.name.size());
    json::value value = json_text(field.value);
    if (json::value* present = fields.if_contains(name)) {
      // A name may occur more than once; then it has a list.
      if (!present->is_array()) *present = json::array{*present};
      present->as_array().push_back(std::move(value));
    } else {
      fields.emplace(name, std::move(value));
    }
  }
  out["fields"] = std::move(fields);
  return out;
}

void pretty(const json::object& object, std::string& out, std::size_t depth) {
  const std::string indent(depth * 2 + 2, ' ');
  if (object.empty()) {
    out += "{}";
    return;
  }
  out += "{";
  bool first = true;
  for (const auto& [name, value] : object) {
    out += first ? "\n" : ",\n";
    first = false;
    out += indent + json::serialize(json::value(name)) + ": ";
    if (const auto* inner = value.if_object()) {
      pretty(*inner, out, depth + 1);
    } else {
      out += json::serialize(value);
    }
  }
  out += "\n" + std::string(depth * 2, ' ') + "}";
}

std::string logfmt_value(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char character) {
    return character > ' ' && character != '"' && character != '=' && character != '\x7f';
  });
  if (plain) return std::string(text);
  std::string out = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') out += '\\';
    if (character == '\n') {
      out += "\\n";
    } else {
      out += character;
    }
  }
  return out + "\"";
}

std::string print_logfmt(const ReadRecord& record, const PrintOptions& options) {
  std::string out = "time=" + rfc3339(record.append_time, options.zone);
  if (record.level) out += fmt::format(" level={}", level_name(*record.level));
  out += fmt::format(" stream={} shard={} offset={}", record.stream, record.shard.value(),
                     record.offset.value());
  if (record.key) out += " key=" + logfmt_value(text_of(*record.key));
  out += " msg=" + logfmt_value(text_of(record.value));
  for (const FieldView& field : record.fields) {
    out += fmt::format(" {}={}", field.name, logfmt_value(field.value));
  }
  return out;
}

std::string print_short(const ReadRecord& record, const PrintOptions& options) {
  const std::string time = options.format == OutputFormat::kShortIso
                               ? rfc3339(record.append_time, options.zone)
                               : short_time(record.append_time, options.zone);
  std::string out = fmt::format("{} {} ", time, record.stream);
  const std::string_view level = record.level ? level_name(*record.level) : std::string_view("-");
  out += fmt::format("{:<5} ", level);
  out += text_of(record.value);
  for (const FieldView& field : record.fields) {
    out += fmt::format(" {}={}", field.name, logfmt_value(field.value));
  }
  return out;
}

std::string print_verbose(const ReadRecord& record, const PrintOptions& options) {
  std::string out = fmt::format("{} {}/{} offset {}\n", rfc3339(record.append_time, options.zone),
                                record.stream, record.shard.value(), record.offset.value());
  out += fmt::format("    event-time = {}\n", rfc3339(record.event_time * 1000, options.zone));
  if (record.level) out += fmt::format("    level = {}\n", level_name(*record.level));
  if (record.key) out += fmt::format("    key = {}\n", text_of(*record.key));
  for (const FieldView& field : record.fields) {
    out += fmt::format("    {} = {}\n", field.name, field.value);
  }
  return out + fmt::format("    message = {}", text_of(record.value));
}

std::string print_fields(const ReadRecord& record) {
  std::string out;
  for (const FieldView& field : record.fields) {
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", field.name, field.value);
  }
  return out;
}

// What may stand behind a '%' of a template.
constexpr std::string_view kLetters = "tpoTkslhn%";

std::string expand_letter(char letter, const ReadRecord& record) {
  switch (letter) {
    case 't':
      return std::string(record.stream);
    case 'p':
      return fmt::format("{}", record.shard.value());
    case 'o':
      return fmt::format("{}", record.offset.value());
    case 'T':
      return fmt::format("{}", record.append_time / 1000);
    case 'k':
      return record.key ? std::string(text_of(*record.key)) : std::string();
    case 's':
      return std::string(text_of(record.value));
    case 'l':
      return record.level ? std::string(level_name(*record.level)) : std::string();
    case 'h':
      return print_fields(record);
    case 'n':
      return "\n";
    default:
      return std::string(1, letter);
  }
}

std::string print_template(const ReadRecord& record, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool last = i + 1 == text.size();
    if (text[i] == '%' && !last) {
      out += expand_letter(text[++i], record);
    } else if (text[i] == '\\' && !last) {
      const char escaped = text[++i];
      out += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == '0' ? '\0' : escaped;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string print_json(const ReadRecord& record, OutputFormat format) {
  const json::object object = json_record(record);
  if (format == OutputFormat::kJson) return json::serialize(object);
  std::string out;
  pretty(object, out, 0);
  return out;
}

std::string format_text(const ReadRecord& record, const PrintOptions& options) {
  switch (options.format) {
    case OutputFormat::kShort:
    case OutputFormat::kShortIso:
      return print_short(record, options);
    case OutputFormat::kVerbose:
      return print_verbose(record, options);
    case OutputFormat::kCat:
    case OutputFormat::kRaw:
      return std::string(text_of(record.value));
    case OutputFormat::kLogfmt:
      return print_logfmt(record, options);
    case OutputFormat::kJson:
    case OutputFormat::kJsonPretty:
      return print_json(record, options.format);
  }
  return {};
}

// Like visible(), but line breaks stay where the format puts them.
std::string visible_lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out += visible(text.substr(0, end));
    if (end == std::string_view::npos) break;
    out += '\n';
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

Result<OutputFormat> parse_output_format(std::string_view name) {
  std::string known;
  for (const auto& [text, format] : kFormats) {
    if (text == name) return format;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", text);
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not an output format; use one of {}", name, known));
}

Result<void> check_template(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
      continue;
    }
    if (text[i] != '%') continue;
    const std::string_view letter = text.substr(i + 1, 1);
    if (letter.empty() || !kLetters.contains(letter.front())) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("'%{}' stands for nothing; use %t stream, %p shard, %o offset, %T "
                              "time, %k key, %s value, %l level, %h fields, %n newline or %%",
                              letter));
    }
    ++i;
  }
  return {};
}

std::string print_record(const ReadRecord& record, const PrintOptions& options) {
  if (options.record_template) {
    const std::string text = print_template(record, *options.record_template);
    return options.escaping == Escaping::kVisible ? visible_lines(text) : text;
  }
  std::string text = format_text(record, options);
  if (options.escaping == Escaping::kVisible && options.format != OutputFormat::kRaw) {
    text = visible_lines(text);
  }
  if (options.decorate && options.format <= OutputFormat::kCat) text = options.decorate(text);
  if (options.color && record.level && options.format <= OutputFormat::kCat) {
    text = fmt::format("{}{}\x1b[0m", level_color(*record.level), text);
  }
  return text + '\n';
}

}  // namespace lignum::cli
