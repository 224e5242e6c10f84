#pragma once

// The data directory of a running node on a real disk: its lock, its logs, its state store.
//
// Owned by App; opened first, closed last. The state store stands behind a handle that outlives
// LevelDB itself, so that a damaged database can be dropped and made anew at boot.

#include <memory>
#include <string>

#include "raft/error.h"
#include "storage/file.h"
#include "storage/state_store.h"

namespace lignum::server {

class NodeStorage {
 public:
  // kLocked when another process serves the directory; kIo, kPermissionDenied ... name it too.
  static Result<std::unique_ptr<NodeStorage>> open(const std::string& path);
  ~NodeStorage();
  NodeStorage(const NodeStorage&) = delete;
  NodeStorage& operator=(const NodeStorage&) = delete;

  // kNotFound where the directory, or its lock, is no longer the one that was opened: somebody
  // removed, moved or replaced it. From any thread.
  [[nodiscard]] Result<void> check() const;

  [[nodiscard]] storage::Directory& root() { return *root_; }
  [[nodiscard]] storage::StateStore& state_store();
  // Drops the database and makes an empty one. Before any lane uses it.
  Result<void> reset_state_store();

 private:
  class Store;
  NodeStorage();

  std::string state_path_;
  std::unique_ptr<storage::Directory> root_;
  std::unique_ptr<storage::DirectoryLock> lock_;
  std::unique_ptr<Store> store_;
};

}  // namespace lignum::server
