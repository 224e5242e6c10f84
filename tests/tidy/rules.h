#pragma once

// The mechanical rules of docs/STYLE.md, each a function from the repository to its findings.
//
// What clang-tidy and clang-format check is left to them. A rule that grows an exception names the
// file and the reason in its own table.

#include <vector>

#include "tests/tidy/tree.h"

namespace lignum::tidy {

using Findings = std::vector<Finding>;

// Files of at most 500 lines (tests: 800), lines of at most 100 columns, functions of at most 70.
Findings check_sizes(const Tree& tree);

// Each folder includes only what lies below it (docs/ARCHITECTURE.md, floors).
Findings check_floors(const Tree& tree);

// Threads, locks, clocks, sleeps and random devices only where the outside world begins.
Findings check_edges(const Tree& tree);

// A header has `#pragma once`; a source includes its own header first, which proves that the header
// compiles alone (headers without a source are compiled by tests/tidy/CMakeLists.txt).
Findings check_headers(const Tree& tree);

// Every .cc stands in a CMakeLists.txt of its folder or above.
Findings check_targets(const Tree& tree);

// Every Errc has an exit code in cli/exit_code.cc.
Findings check_exit_codes(const Tree& tree);

// Relative links in documents, and documents named in sources, exist; so do the headings that a
// link points at.
Findings check_links(const Tree& tree);

// Every `./dev COMMAND` that a document names exists.
Findings check_commands(const Tree& tree);

// No note to do something later.
Findings check_open_notes(const Tree& tree);

// Only the agreed folders and files stand at the top.
Findings check_top_level(const Tree& tree);

}  // namespace lignum::tidy
