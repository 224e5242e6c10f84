#include "storage/leveldb_check.h"

#include <fmt/format.h>
#include <leveldb/env.h>
#include <leveldb/helpers/memenv.h>
#include <leveldb/slice.h>
#include <leveldb/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "storage/file.h"
#include "storage/leveldb_state_store.h"

namespace lignum::storage {

namespace {

// Its place in memory, and what LevelDB's messages call it.
constexpr std::string_view kPath = "state";

Result<void> copy_file(Directory& directory, const std::string& name, leveldb::Env& memory,
                       std::uint64_t& bytes_left) {
  TRY_ASSIGN(file, directory.open(name, OpenMode::kRead));
  TRY_ASSIGN(size, file->size());
  if (size > bytes_left) {
    return fail(Errc::kTooLarge, "the state database is too large to be checked in memory");
  }
  bytes_left -= size;
  std::vector<std::byte> bytes(size);
  TRY_ASSIGN(read, file->read_at(0, bytes));
  const leveldb::Slice content(reinterpret_cast<const char*>(bytes.data()), read);
  const leveldb::Status written =
      leveldb::WriteStringToFile(&memory, content, std::string(kPath) + "/" + name);
  if (!written.ok()) return fail(Errc::kIo, written.ToString());
  return {};
}

}  // namespace

Result<void> check_leveldb(Directory& directory, std::uint64_t bytes_max) {
  TRY_ASSIGN(names, directory.list());
  // Empty: dropped, and not written since.
  if (names.empty()) return {};
  const std::unique_ptr<leveldb::Env> memory(leveldb::NewMemEnv(leveldb::Env::Default()));
  bool current = false;
  for (const std::string& name : names) {
    if (name == "LOCK" || name == "LOG" || name == "LOG.old") continue;
    current = current || name == "CURRENT";
    TRY(copy_file(directory, name, *memory, bytes_max));
  }
  if (!current) return fail(Errc::kCorrupt, "the state database has lost its file CURRENT");
  const auto opened = LevelDbStateStore::open(std::string(kPath), *memory);
  if (opened) return {};
  // Nothing in memory fails but what is wrong with the bytes.
  std::string_view reason = opened.error().message();
  const std::string prefix = std::string(kPath) + ": ";
  if (reason.starts_with(prefix)) reason.remove_prefix(prefix.size());
  return fail(Errc::kCorrupt, fmt::format("the state database does not open: {}", reason));
}

}  // namespace lignum::storage
