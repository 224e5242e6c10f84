#pragma once

// The folder of the independent oracle: cases that came from another Raft core, which is not part
// of this project. Tests that need it are skipped, and say so, where it is absent.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "tests/conformance/datadriven.h"

namespace lignum::conformance {

inline constexpr std::string_view kOracleAbsent =
    "LIGNUM_ORACLE_DIR is not set: the data of the independent oracle is elsewhere";

// Where its data lies; none where LIGNUM_ORACLE_DIR is not set.
[[nodiscard]] std::optional<std::filesystem::path> oracle_directory();

struct OracleFile {
  std::string name;
  std::vector<Block> blocks;
};

// Every script of a folder of it, by name. kIo where there is none, kInvalidArgument as
// parse_blocks.
Result<std::vector<OracleFile>> read_oracle_files(const std::filesystem::path& folder);

}  // namespace lignum::conformance
