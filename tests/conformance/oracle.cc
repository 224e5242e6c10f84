#include "tests/conformance/oracle.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "tests/conformance/datadriven.h"

namespace lignum::conformance {

std::optional<std::filesystem::path> oracle_directory() {
  const char* directory = std::getenv("LIGNUM_ORACLE_DIR");
  if (directory == nullptr || *directory == '\0') return std::nullopt;
  return directory;
}

Result<std::vector<OracleFile>> read_oracle_files(const std::filesystem::path& folder) {
  std::vector<OracleFile> files;
  std::error_code failed;
  for (const auto& item : std::filesystem::directory_iterator(folder, failed)) {
    if (item.path().extension() != ".txt") continue;
    TRY_ASSIGN(blocks, read_blocks(item.path()));
    files.push_back({.name = item.path().filename().string(), .blocks = std::move(blocks)});
  }
  if (files.empty()) return fail(Errc::kIo, "no script in " + folder.string());
  std::ranges::sort(files, {}, &OracleFile::name);
  return files;
}

}  // namespace lignum::conformance
