#pragma once

// StateStore by LevelDB: one database per node.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "storage/state_store.h"

namespace leveldb {
class DB;
}  // namespace leveldb

namespace lignum::storage {

// Owned by the node's storage; one thread at a time. LevelDB runs a thread of its own, so
// simulations use MemoryStateStore. Opened with paranoid checks, read with verified checksums and
// without the block cache's help, written with sync: without these most single-bit flips are served
// as data. Never throws; never the only copy: on kCorrupt the caller closes it, destroy()s it and
// rebuilds from image and log.
class LevelDbStateStore final : public StateStore {
 public:
  // Opens or makes the database in the directory `path` (its parent exists). kCorrupt when it is
  // damaged, kLocked when another process has it open, kIo otherwise.
  [[nodiscard]] static Result<std::unique_ptr<LevelDbStateStore>> open(const std::string& path);
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
  LevelDbStateStore(std::unique_ptr<leveldb::DB> database, std::string path);

  std::unique_ptr<leveldb::DB> database_;
  std::string path_;
};

}  // namespace lignum::storage
