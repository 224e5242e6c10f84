#include "server/node_storage.h"

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"
#include "storage/file.h"
#include "storage/leveldb_state_store.h"
#include "storage/posix_file.h"
#include "storage/state_store.h"

namespace lignum::server {

// Forwards to the database of the moment.
class NodeStorage::Store final : public storage::StateStore {
 public:
  Result<void> write(const std::vector<storage::StateWrite>& batch) override {
    return database_->write(batch);
  }
  Result<void> scan(std::string_view prefix,
                    const std::function<Result<void>(std::string_view key, std::string_view value)>&
                        visit) override {
    return database_->scan(prefix, visit);
  }
  Result<void> drop(std::string_view prefix) override { return database_->drop(prefix); }

  Result<void> open(const std::string& path) {
    auto opened = storage::LevelDbStateStore::open(path);
    if (!opened && opened.error().code() == Errc::kCorrupt) return reset(path);
    if (!opened) return std::unexpected(opened.error());
    database_ = std::move(*opened);
    return {};
  }
  // It is never the only copy: image and log bring everything back.
  Result<void> reset(const std::string& path) {
    database_.reset();
    TRY(storage::LevelDbStateStore::destroy(path));
    TRY_ASSIGN(fresh, storage::LevelDbStateStore::open(path));
    database_ = std::move(fresh);
    return {};
  }

 private:
  std::unique_ptr<storage::LevelDbStateStore> database_;
};

NodeStorage::NodeStorage() : store_(std::make_unique<Store>()) {}
NodeStorage::~NodeStorage() = default;

Result<std::unique_ptr<NodeStorage>> NodeStorage::open(const std::string& path) {
  std::unique_ptr<NodeStorage> node(new NodeStorage());
  auto root = storage::open_posix_directory(path);
  if (!root && root.error().code() == Errc::kInvalidArgument) {
    return fail(Errc::kIo,
                fmt::format("{}. Name a directory with --data; it is made where there is none",
                            root.error().message()));
  }
  if (!root) return std::unexpected(root.error());
  node->root_ = std::move(*root);
  auto lock = node->root_->lock();
  if (!lock) {
    if (lock.error().code() != Errc::kLocked) return std::unexpected(lock.error());
    return fail(Errc::kLocked,
                fmt::format("the data directory {} is in use by another logd; stop that one, or "
                            "choose another directory with --data",
                            path));
  }
  node->lock_ = std::move(*lock);
  node->state_path_ = path + "/state";
  TRY(node->store_->open(node->state_path_));
  return node;
}

Result<void> NodeStorage::check() const {
  TRY(root_->check_place());
  return lock_->check();
}

storage::StateStore& NodeStorage::state_store() { return *store_; }

Result<void> NodeStorage::reset_state_store() { return store_->reset(state_path_); }

}  // namespace lignum::server
