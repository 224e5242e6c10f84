#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "tests/tidy/rules.h"
#include "tests/tidy/tree.h"

namespace lignum::tidy {

namespace {

// "foo/bar.h" of `#include "foo/bar.h"`, else empty.
std::string_view quoted_include(std::string_view line) {
  constexpr std::string_view kStart = "#include \"";
  if (!line.starts_with(kStart)) {
    return {};
  }
  line.remove_prefix(kStart.size());
  return line.substr(0, line.find('"'));
}

std::string_view first_include(std::string_view text) {
  for (const std::string_view line : lines_of(text)) {
    if (line.starts_with("#include")) {
      return line;
    }
  }
  return {};
}

// What follows the variable in a line such as `add_executable(fuzz_${thing} ${thing}_fuzz.cc)`,
// else empty: the end of a family of file names.
std::string_view family_of(std::string_view line) {
  const std::size_t end = line.find(".cc");
  const std::size_t variable = line.substr(0, end).rfind('}');
  return end == std::string_view::npos || variable == std::string_view::npos
             ? std::string_view()
             : line.substr(variable + 1, end + 3 - variable - 1);
}

// True where the build file names the source, or its family and what tells it apart.
bool names_source(std::string_view build_file, std::string_view name) {
  const auto lines = lines_of(build_file);
  const auto stands = [&](std::string_view word) {
    return std::ranges::any_of(lines, [&](auto line) { return has_word(line, word); });
  };
  return stands(name) || std::ranges::any_of(lines, [&](std::string_view line) {
           const std::string_view family = family_of(line);
           return !family.empty() && name.ends_with(family) &&
                  stands(name.substr(0, name.size() - family.size()));
         });
}

// Words split, so that this file has none.
constexpr std::string_view kOpenNotes[] = {
    "TO"
    "DO",
    "FIX"
    "ME",
    "XX"
    "X",
    "HA"
    "CK"};

}  // namespace

Findings check_headers(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    if (is_header(path)) {
      if (!std::ranges::any_of(lines_of(text), [](auto line) { return line == "#pragma once"; })) {
        findings.push_back({path, 0, "header without #pragma once"});
      }
    } else if (is_source(path)) {
      const std::string own = path.substr(0, path.size() - 2) + "h";
      if (tree.has_file(own) && quoted_include(first_include(text)) != own) {
        findings.push_back({path, 0, "must include its own header first: " + own});
      }
    }
  }
  return findings;
}

Findings check_targets(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    if (!path.ends_with(".cc")) {
      continue;
    }
    const std::filesystem::path source(path);
    bool named = false;
    for (std::filesystem::path folder = source.parent_path(); !named;
         folder = folder.parent_path()) {
      const std::string name = folder.empty() ? path : source.lexically_relative(folder).string();
      named = names_source(tree.text((folder / "CMakeLists.txt").string()), name);
      if (folder.empty()) {
        break;
      }
    }
    if (!named) {
      findings.push_back({path, 0, "stands in no CMakeLists.txt"});
    }
  }
  return findings;
}

Findings check_exit_codes(const Tree& tree) {
  Findings findings;
  const std::string header = "raft/error.h";
  const std::string_view mapping = tree.text("cli/exit_code.cc");
  bool inside = false;
  int number = 0;
  for (const std::string_view line : lines_of(tree.text(header))) {
    ++number;
    inside = inside || line.starts_with("enum class Errc");
    inside = inside && line != "};";
    const std::size_t start = line.find_first_not_of(' ');
    if (inside && start != std::string_view::npos && line.substr(start).starts_with('k')) {
      const std::string_view name = line.substr(start, line.find_first_of(" =,", start) - start);
      if (!has_word(mapping, "Errc::" + std::string(name))) {
        findings.push_back({header, number, std::string(name) + " is not in cli/exit_code.cc"});
      }
    }
  }
  if (number == 0) {
    findings.push_back({header, 0, "is missing"});
  }
  return findings;
}

Findings check_open_notes(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    int number = 0;
    for (const std::string_view line : lines_of(text)) {
      ++number;
      for (const std::string_view note : kOpenNotes) {
        if (has_word(line, note)) {
          findings.push_back({path, number, "left open: " + std::string(note)});
        }
      }
    }
  }
  return findings;
}

}  // namespace lignum::tidy
