// The names of a SimDisk: files and directories as storage/file.h hands them out.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_inode.h"
#include "jepsen/sim/sim_tree.h"
#include "jepsen/sim/sim_world.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "storage/file.h"

namespace lignum::jepsen {

namespace {

// Handles are made inside SimDisk::World, which is private to SimDisk; templates let them name it.
template <class World>
class SimFile final : public storage::File {
 public:
  struct Access {
    std::string path;
    bool writable = false;
    bool direct = false;
  };
  SimFile(std::shared_ptr<World> world, std::shared_ptr<SimInode> inode, Access access)
      : world_(std::move(world)), inode_(std::move(inode)), access_(std::move(access)) {}
  ~SimFile() override { world_->close(*inode_); }
  SimFile(const SimFile&) = delete;
  SimFile& operator=(const SimFile&) = delete;

  Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> out) const override {
    return world_->read(*inode_, access_.path, position, out);
  }
  Result<void> write_at(std::uint64_t position, Bytes data) override {
    CHECK(access_.writable);
    if (access_.direct) {
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the address is the point.
      CHECK(reinterpret_cast<std::uintptr_t>(data.data()) % storage::kBlockBytes == 0);
      CHECK(position % storage::kBlockBytes == 0);
      CHECK(data.size() % storage::kBlockBytes == 0);
    }
    return world_->write(*inode_, access_.path, position, data);
  }
  Result<void> sync() override { return world_->sync(*inode_, access_.path); }
  Result<std::uint64_t> size() const override { return world_->size(*inode_, access_.path); }
  Result<void> resize(std::uint64_t bytes) override {
    CHECK(access_.writable);
    return world_->resize(*inode_, access_.path, bytes);
  }
  [[nodiscard]] bool direct() const override { return access_.direct; }

 private:
  std::shared_ptr<World> world_;
  std::shared_ptr<SimInode> inode_;
  Access access_;
};

template <class World>
class SimDirectoryLock final : public storage::DirectoryLock {
 public:
  SimDirectoryLock(std::shared_ptr<World> world, std::shared_ptr<SimDirectory> directory)
      : world_(std::move(world)), directory_(std::move(directory)) {}
  ~SimDirectoryLock() override { world_->unlock(*directory_); }
  SimDirectoryLock(const SimDirectoryLock&) = delete;
  SimDirectoryLock& operator=(const SimDirectoryLock&) = delete;
  // There is no lock file that could go.
  [[nodiscard]] Result<void> check() const override { return {}; }

 private:
  std::shared_ptr<World> world_;
  std::shared_ptr<SimDirectory> directory_;
};

template <class World>
class SimDirectoryHandle final : public storage::Directory {
 public:
  SimDirectoryHandle(std::shared_ptr<World> world, std::shared_ptr<SimDirectory> directory,
                     std::string path)
      : world_(std::move(world)), directory_(std::move(directory)), path_(std::move(path)) {}

  Result<std::unique_ptr<storage::File>> open(std::string_view name,
                                              storage::OpenMode mode) override {
    return world_->open(place(), name, mode);
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    return world_->rename(place(), from, to);
  }
  Result<void> remove(std::string_view name) override { return world_->remove(place(), name); }
  [[nodiscard]] Result<bool> exists(std::string_view name) const override {
    return world_->exists(place(), name);
  }
  [[nodiscard]] Result<std::vector<std::string>> list() const override {
    return world_->list(place());
  }
  Result<std::unique_ptr<storage::Directory>> open_directory(std::string_view name) override {
    return world_->open_directory(place(), name);
  }
  Result<std::unique_ptr<storage::DirectoryLock>> lock() override {
    TRY(world_->lock(place()));
    return std::make_unique<SimDirectoryLock<World>>(world_, directory_);
  }
  [[nodiscard]] Result<std::uint64_t> free_bytes() const override { return world_->free_bytes(); }
  [[nodiscard]] Result<void> check_place() const override { return world_->check_place(place()); }
  [[nodiscard]] std::string path() const override {
    return path_.empty() ? "sim:" : "sim:/" + path_.substr(0, path_.size() - 1);
  }

 private:
  Result<void> sync_names() override { return world_->sync_directory(place()); }
  [[nodiscard]] typename World::Place place() const { return {*directory_, path_}; }

  std::shared_ptr<World> world_;
  std::shared_ptr<SimDirectory> directory_;
  std::string path_;  // from the root, with a trailing slash; empty for the root
};

Result<void> check_name(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.contains('/')) {
    return fail(Errc::kInvalidArgument, "not a file name: '" + std::string(name) + "'");
  }
  return {};
}

Error not_found(const std::string& path) { return Error(Errc::kNotFound, path + ": not found"); }

}  // namespace

std::unique_ptr<storage::Directory> SimDisk::World::root() {
  const MutexLock lock(mutex_);
  return std::make_unique<SimDirectoryHandle<World>>(shared_from_this(), root_, "");
}

Result<std::unique_ptr<storage::File>> SimDisk::World::open(const Place& place,
                                                            std::string_view name,
                                                            storage::OpenMode mode) {
  TRY(check_name(name));
  const MutexLock lock(mutex_);
  const std::string path = place.path + std::string(name);
  TRY(refuse_if_dead(path));
  const auto found = place.directory.now.find(name);
  const bool creates = mode == storage::OpenMode::kCreate;
  if (creates && found != place.directory.now.end()) {
    return ::lignum::fail(Errc::kAlreadyExists, path + ": exists");
  }
  const bool there = found != place.directory.now.end() && found->second.file;
  if (creates ? place.directory.removed : !there) {
    return std::unexpected(not_found(path));
  }
  const Verdict verdict = judge({.op = creates ? DiskOp::kCreate : DiskOp::kOpen, .path = path});
  std::shared_ptr<SimInode> inode;
  if (!creates) {
    inode = found->second.file;
  } else if (verdict.reaches_disk) {
    inode = std::make_shared<SimInode>();
    inode->links = 1;
    place.directory.change({.to = std::string(name), .entry = {.file = inode}});
  }
  if (verdict.error) {
    return std::unexpected(*verdict.error);
  }
  ++inode->handles;
  return std::make_unique<SimFile<World>>(
      shared_from_this(), inode,
      typename SimFile<World>::Access{
          .path = path,
          .writable = mode != storage::OpenMode::kRead,
          .direct = options_.direct && (mode == storage::OpenMode::kWriteDirect ||
                                        mode == storage::OpenMode::kWriteSynced)});
}

Result<void> SimDisk::World::rename(const Place& place, std::string_view from,
                                    std::string_view to) {
  TRY(check_name(from));
  TRY(check_name(to));
  const MutexLock lock(mutex_);
  const std::string path = place.path + std::string(from) + " -> " + place.path + std::string(to);
  TRY(refuse_if_dead(path));
  const auto found = place.directory.now.find(from);
  if (found == place.directory.now.end()) {
    return std::unexpected(not_found(path));
  }
  const auto target = place.directory.now.find(to);
  if (target != place.directory.now.end() && target->second.directory) {
    return ::lignum::fail(Errc::kIo, path + ": the target is a directory");
  }
  const Verdict verdict = judge({.op = DiskOp::kRename, .path = path});
  if (verdict.reaches_disk && from != to) {
    if (target != place.directory.now.end()) {
      --target->second.file->links;
      unlinked_.emplace_back(target->second.file);
    }
    place.directory.change(
        {.from = std::string(from), .to = std::string(to), .entry = SimEntry(found->second)});
  }
  if (verdict.error) {
    return std::unexpected(*verdict.error);
  }
  return {};
}

Result<void> SimDisk::World::remove(const Place& place, std::string_view name) {
  TRY(check_name(name));
  const MutexLock lock(mutex_);
  const std::string path = place.path + std::string(name);
  TRY(refuse_if_dead(path));
  const auto found = place.directory.now.find(name);
  if (found == place.directory.now.end()) {
    return std::unexpected(not_found(path));
  }
  const SimEntry entry = found->second;
  if (entry.directory && !entry.directory->now.empty()) {
    return ::lignum::fail(Errc::kIo, path + ": the directory is not empty");
  }
  const Verdict verdict = judge({.op = DiskOp::kRemove, .path = path});
  if (verdict.reaches_disk) {
    if (entry.file) {
      --entry.file->links;
      std::erase_if(unlinked_, [](const auto& weak) { return weak.expired(); });
      unlinked_.emplace_back(entry.file);
    }
    place.directory.change({.from = std::string(name), .entry = entry});
  }
  if (verdict.error) {
    return std::unexpected(*verdict.error);
  }
  return {};
}

Result<bool> SimDisk::World::exists(const Place& place, std::string_view name) {
  TRY(check_name(name));
  const MutexLock lock(mutex_);
  TRY(look(place.path + std::string(name)));
  return place.directory.now.contains(name);
}

Result<std::vector<std::string>> SimDisk::World::list(const Place& place) {
  const MutexLock lock(mutex_);
  TRY(look(place.path));
  std::vector<std::string> names;
  for (const auto& [name, entry] : place.directory.now) {
    names.push_back(name);
  }
  return names;
}

Result<void> SimDisk::World::sync_directory(const Place& place) {
  const MutexLock lock(mutex_);
  const Verdict verdict = judge({.op = DiskOp::kSyncDirectory, .path = place.path});
  if (verdict.error) {
    if (!crashed_) {
      place.directory.abandon_pending();
    }
    return std::unexpected(*verdict.error);
  }
  place.directory.sync();
  return {};
}

Result<std::unique_ptr<storage::Directory>> SimDisk::World::open_directory(const Place& place,
                                                                           std::string_view name) {
  TRY(check_name(name));
  const std::string path = place.path + std::string(name) + "/";
  std::shared_ptr<SimDirectory> directory;
  {
    const MutexLock lock(mutex_);
    TRY(refuse_if_dead(path));
    const auto found = place.directory.now.find(name);
    if (found != place.directory.now.end()) {
      if (!found->second.directory) {
        return ::lignum::fail(Errc::kIo, path + ": not a directory");
      }
      TRY(look(path));
      return std::make_unique<SimDirectoryHandle<World>>(shared_from_this(),
                                                         found->second.directory, path);
    }
    const Verdict verdict = judge({.op = DiskOp::kMakeDirectory, .path = path});
    if (verdict.reaches_disk) {
      directory = std::make_shared<SimDirectory>();
      place.directory.change({.to = std::string(name), .entry = {.directory = directory}});
    }
    if (verdict.error) {
      return std::unexpected(*verdict.error);
    }
  }
  TRY(sync_directory(place));
  return std::make_unique<SimDirectoryHandle<World>>(shared_from_this(), directory, path);
}

Result<void> SimDisk::World::lock(const Place& place) {
  const MutexLock lock(mutex_);
  TRY(refuse_if_dead(place.path));
  if (place.directory.locked) {
    return ::lignum::fail(Errc::kLocked, "sim:/" + place.path + ": locked");
  }
  place.directory.locked = true;
  return {};
}

void SimDisk::World::unlock(SimDirectory& directory) {
  const MutexLock lock(mutex_);
  directory.locked = false;
}

Result<void> SimDisk::World::check_place(const Place& place) {
  const MutexLock lock(mutex_);
  TRY(look(place.path));
  const SimDirectory* at = root_.get();
  std::string_view rest = place.path;
  while (at != nullptr && !rest.empty()) {
    const auto slash = rest.find('/');
    const auto found = at->now.find(rest.substr(0, slash));
    at = found == at->now.end() ? nullptr : found->second.directory.get();
    rest.remove_prefix(slash + 1);
  }
  if (at == &place.directory) return {};
  return ::lignum::fail(Errc::kNotFound,
                        "sim:/" + place.path + ": it was removed, moved or replaced while in use");
}

Result<std::uint64_t> SimDisk::World::free_bytes() {
  const MutexLock lock(mutex_);
  TRY(look("sim:/"));
  const std::uint64_t taken = used();
  return taken < options_.capacity_bytes ? options_.capacity_bytes - taken : 0;
}

}  // namespace lignum::jepsen
