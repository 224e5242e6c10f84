#pragma once

// StateStore by LevelDB: one database per node.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "storage/state_store.h"

namespace leveldb {
class DB;
class Env;
}  // namespace leveldb

namespace lignum::storage {

// A digest over all pairs, kept in the database itself. LevelDB's checksums cover what a file says,
// not whether a file or the end of one is there: some damage makes it forget writes in silence.
struct StateDigest {
  std::uint64_t pairs = 0;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

// Owned by the node's storage; one thread at a time. LevelDB runs a thread of its own, so
// simulations use MemoryStateStore. Opened with paranoid checks, read with verified checksums,
// written with sync, and verified as a whole against its digest when it is opened: what scan()
// gives is the state as some write() left it. That is the last one, unless the file system lost or
// damaged the end of a file: the caller compares the applied mark it finds with its log, and
// rebuilds from an image where the log begins later. Never throws; never the only copy: on kCorrupt
// the caller closes it, destroy()s it and rebuilds from image and log.
class LevelDbStateStore final : public StateStore {
 public:
  // Opens or makes the database in the directory `path` (its parent exists), and reads all of it.
  // kCorrupt when it is damaged, kLocked when another process has it open, kIo otherwise.
  [[nodiscard]] static Result<std::unique_ptr<LevelDbStateStore>> open(const std::string& path);
  // The same in another environment than the file system; it outlives the store.
  [[nodiscard]] static Result<std::unique_ptr<LevelDbStateStore>> open(const std::string& path,
                                                                       leveldb::Env& environment);
  // Removes a database that is not open; fine when there is none. kIo.
  [[nodiscard]] static Result<void> destroy(const std::string& path);

  ~LevelDbStateStore() override;
  LevelDbStateStore(const LevelDbStateStore&) = delete;
  LevelDbStateStore& operator=(const LevelDbStateStore&) = delete;

  Result<void> write(const std::vector<StateWrite>& batch) override;
  Result<void> scan(std::string_view prefix,
                    const std::function<Result<void>(std::string_view key, std::string_view value)>&
                        visit) override;
  Result<void> drop(std::string_view prefix) override;

 private:
  [[nodiscard]] Result<void> verify();
  LevelDbStateStore(std::unique_ptr<leveldb::DB> database, std::string path);

  std::unique_ptr<leveldb::DB> database_;
  std::string path_;
  StateDigest digest_;
};

}  // namespace lignum::storage
