#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "tests/tidy/rules.h"
#include "tests/tidy/tree.h"

namespace lignum::tidy {

namespace {

bool is_document(std::string_view path) { return path.ends_with(".md"); }

// The anchor that a heading gets: lower case, spaces as dashes, no punctuation.
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  heading.remove_prefix(std::min(heading.find_first_not_of("# "), heading.size()));
  for (const char c : heading) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_') {
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (c == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

bool has_anchor(std::string_view text, std::string_view anchor) {
  return std::ranges::any_of(lines_of(text), [&](std::string_view line) {
    return line.starts_with('#') && anchor_of(line) == anchor;
  });
}

void check_link(const Tree& tree, const Finding& place, std::string_view target,
                Findings& findings) {
  if (target.empty() || target.find("://") != std::string_view::npos ||
      target.starts_with("mailto:")) {
    return;
  }
  const std::size_t hash = std::min(target.find('#'), target.size());
  const std::string_view file = target.substr(0, hash);
  const std::filesystem::path folder = std::filesystem::path(place.file).parent_path();
  std::string path = file.empty() ? place.file : (folder / file).lexically_normal().string();
  if (path.ends_with('/')) {
    path.pop_back();
  }
  Finding finding = place;
  if (!tree.exists(path)) {
    finding.message = "link to " + std::string(target) + ": no such file";
    findings.push_back(finding);
  } else if (hash < target.size() && is_document(path) &&
             !has_anchor(tree.text(path), target.substr(hash + 1))) {
    finding.message = "link to " + std::string(target) + ": no such heading";
    findings.push_back(finding);
  }
}

// [text](target)
void check_document_links(const Tree& tree, const Finding& place, std::string_view line,
                          Findings& findings) {
  for (std::size_t at = line.find("]("); at != std::string_view::npos;
       at = line.find("](", at + 1)) {
    const std::size_t end = line.find(')', at);
    if (end != std::string_view::npos) {
      check_link(tree, place, line.substr(at + 2, end - at - 2), findings);
    }
  }
}

// docs/some/page.md, in prose or in a string.
void check_mentions(const Tree& tree, const Finding& place, std::string_view line,
                    Findings& findings) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
      "0123456789_-./";
  for (std::size_t at = line.find("docs/"); at != std::string_view::npos;
       at = line.find("docs/", at + 1)) {
    const std::size_t end = std::min(line.find_first_not_of(kLetters, at), line.size());
    std::string_view name = line.substr(at, end - at);
    name = name.substr(0, std::min(name.rfind(".md"), name.size() - 3) + 3);
    const bool relative = at > 0 && kLetters.find(line[at - 1]) != std::string_view::npos;
    if (name.ends_with(".md") && !relative && !tree.exists(std::string(name))) {
      Finding finding = place;
      finding.message = "names " + std::string(name) + ", which does not exist";
      findings.push_back(finding);
    }
  }
}

}  // namespace

Findings check_links(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    int number = 0;
    for (const std::string_view line : lines_of(text)) {
      const Finding place{.file = path, .line = ++number, .message = ""};
      if (is_document(path)) {
        check_document_links(tree, place, line, findings);
      }
      if (!path.starts_with("tests/tidy/")) {
        check_mentions(tree, place, line, findings);
      }
    }
  }
  return findings;
}

Findings check_commands(const Tree& tree) {
  Findings findings;
  const std::string_view script = tree.text("dev");
  for (const auto& [path, text] : tree.files()) {
    int number = 0;
    for (const std::string_view line : lines_of(text)) {
      ++number;
      constexpr std::string_view kCall = "./dev ";
      const std::size_t at = line.find(kCall);
      if (!is_document(path) || at == std::string_view::npos) {
        continue;
      }
      const std::size_t start = at + kCall.size();
      const std::size_t end =
          std::min(line.find_first_not_of("abcdefghijklmnopqrstuvwxyz", start), line.size());
      const std::string command(line.substr(start, end - start));
      const bool known = std::ranges::any_of(lines_of(script), [&](std::string_view candidate) {
        return candidate.starts_with("  " + command + ")") ||
               candidate.starts_with("  " + command + " |");
      });
      if (!command.empty() && !known) {
        findings.push_back({path, number, "./dev has no command '" + command + "'"});
      }
    }
  }
  return findings;
}

Findings check_top_level(const Tree& tree) {
  constexpr std::array<std::string_view, 17> kAllowed = {"CMakeLists.txt",
                                                         "CMakePresets.json",
                                                         "README.md",
                                                         "CONTRIBUTING.md",
                                                         "CHANGELOG.md",
                                                         "LICENSE",
                                                         "dev",
                                                         "raft",
                                                         "storage",
                                                         "net",
                                                         "server",
                                                         "cli",
                                                         "tests",
                                                         "jepsen",
                                                         "docs",
                                                         ".ci",
                                                         "compile_commands.json"};
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    const std::string top = path.substr(0, path.find('/'));
    if (std::ranges::find(kAllowed, top) == kAllowed.end()) {
      findings.push_back({path, 0, "'" + top + "' does not belong at the top of the repository"});
    }
  }
  return findings;
}

}  // namespace lignum::tidy
