#include "jepsen/sim/sim_world.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/paged_bytes.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_inode.h"
#include "jepsen/sim/sim_tree.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"

namespace lignum::jepsen {

namespace {

bool changes(DiskOp op) { return op < DiskOp::kOpen; }

Error dead(const std::string& path) {
  return Error(Errc::kIo, path + ": the simulated process has crashed");
}

}  // namespace

Result<void> SimDisk::World::refuse_if_dead(const std::string& path) {
  if (crashed_) {
    return std::unexpected(dead(path));
  }
  return {};
}

Result<void> SimDisk::World::look(const std::string& path) {
  auto verdict = judge({.op = DiskOp::kLook, .path = path});
  if (verdict.error) return std::unexpected(*std::move(verdict.error));
  return {};
}

std::optional<Error> SimDisk::World::strike(const Attempt& call) {
  for (Fault& waiting : faults_) {
    const DiskFault& fault = waiting.fault;
    const bool kind_matches =
        fault.op == call.op || (fault.op == DiskOp::kAnyChange && changes(call.op));
    if (!kind_matches || !call.path.contains(fault.path_part)) {
      continue;
    }
    ++waiting.seen;
    const bool due =
        fault.span == FaultSpan::kOnce ? waiting.seen == fault.nth : waiting.seen >= fault.nth;
    if (due) {
      ++faults_struck_;
      return Error(fault.error, call.call().describe() + ": injected fault");
    }
  }
  return std::nullopt;
}

SimDisk::World::Verdict SimDisk::World::judge(const Attempt& call) {
  if (crashed_) {
    return {.error = dead(call.path), .reaches_disk = false};
  }
  if (changes(call.op)) {
    CHECK(calls_.size() < kDiskCallsMax);
    ++operations_;
    if (options_.keeps_calls) calls_.push_back(call.call());
    if (crash_at_ && operations_ >= *crash_at_) {
      crashed_ = true;
      return {.error = dead(call.path), .reaches_disk = true};
    }
  }
  if (auto error = strike(call)) {
    return {.error = std::move(error), .reaches_disk = false};
  }
  return {};
}

std::uint64_t SimDisk::World::used() const {
  std::uint64_t total = bytes_below(*root_);
  for (const auto& weak : unlinked_) {
    const auto inode = weak.lock();
    if (inode && inode->links == 0 && inode->handles > 0) {
      total += inode->size();
    }
  }
  return total;
}

std::uint64_t SimDisk::World::room_for(std::uint64_t wanted) {
  if (!used_at_most_) used_at_most_ = used();
  if (*used_at_most_ + wanted <= options_.capacity_bytes) {
    *used_at_most_ += wanted;
    return wanted;
  }
  const std::uint64_t taken = used();
  const std::uint64_t room =
      std::min(wanted, options_.capacity_bytes - std::min(taken, options_.capacity_bytes));
  used_at_most_ = taken + room;
  return room;
}

Result<std::size_t> SimDisk::World::read(SimInode& inode, const std::string& path,
                                         std::uint64_t position, std::span<std::byte> out) {
  const MutexLock lock(mutex_);
  const Verdict verdict =
      judge({.op = DiskOp::kRead, .path = path, .position = position, .bytes = out.size()});
  if (verdict.error) {
    return std::unexpected(*verdict.error);
  }
  return inode.read(position, out);
}

Result<void> SimDisk::World::write(SimInode& inode, const std::string& path, std::uint64_t position,
                                   Bytes data) {
  const MutexLock lock(mutex_);
  Verdict verdict =
      judge({.op = DiskOp::kWrite, .path = path, .position = position, .bytes = data.size()});
  if (verdict.error && !verdict.reaches_disk && !crashed_) {
    data = data.first(data.size() / 2);
  } else if (verdict.error && !verdict.reaches_disk) {
    return std::unexpected(*verdict.error);
  }
  const std::uint64_t end = position + data.size();
  if (end > inode.size()) {
    const std::uint64_t room = room_for(end - inode.size());
    if (end - inode.size() > room) {
      const std::uint64_t fits = inode.size() + room;
      data = data.first(static_cast<std::size_t>(fits - std::min(fits, position)));
      if (!verdict.error) {
        ++faults_struck_;
        verdict.error = Error(Errc::kNoSpace, path + ": the simulated disk is full");
      }
    }
  }
  inode.write(position, data, operations_);
  if (verdict.error) {
    return std::unexpected(*verdict.error);
  }
  return {};
}

Result<void> SimDisk::World::sync(SimInode& inode, const std::string& path) {
  const MutexLock lock(mutex_);
  const Verdict verdict = judge({.op = DiskOp::kSync, .path = path});
  if (verdict.error) {
    // A process that dies in the call leaves the page cache as it was; a failed sync does not.
    if (!crashed_) {
      inode.abandon_pending();
    }
    return std::unexpected(*verdict.error);
  }
  if (inode.links == 0) {
    return ::lignum::fail(Errc::kIo, path + ": the file was removed while it was in use");
  }
  if (!options_.lies) inode.sync();
  return {};
}

Result<void> SimDisk::World::resize(SimInode& inode, const std::string& path, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  const Verdict verdict = judge({.op = DiskOp::kResize, .path = path, .position = bytes});
  if (!verdict.error && bytes > inode.size() &&
      room_for(bytes - inode.size()) < bytes - inode.size()) {
    ++faults_struck_;
    return ::lignum::fail(Errc::kNoSpace, path + ": the simulated disk is full");
  }
  if (verdict.reaches_disk) {
    inode.resize(bytes);
  }
  if (verdict.error) {
    return std::unexpected(*verdict.error);
  }
  return {};
}

Result<std::uint64_t> SimDisk::World::size(const SimInode& inode, const std::string& path) {
  const MutexLock lock(mutex_);
  TRY(look(path));
  return inode.size();
}

void SimDisk::World::close(SimInode& inode) {
  const MutexLock lock(mutex_);
  --inode.handles;
}

std::uint64_t SimDisk::World::operations() {
  const MutexLock lock(mutex_);
  return operations_;
}

std::vector<DiskCall> SimDisk::World::calls() {
  const MutexLock lock(mutex_);
  return calls_;
}

void SimDisk::World::crash_at(std::uint64_t operation) {
  const MutexLock lock(mutex_);
  crash_at_ = operation;
}

void SimDisk::World::restart() {
  const MutexLock lock(mutex_);
  crashed_ = false;
  crash_at_.reset();
  faults_.clear();
  unlock_all(*root_);
}

bool SimDisk::World::crashed() {
  const MutexLock lock(mutex_);
  return crashed_;
}

std::shared_ptr<SimDisk::World> SimDisk::World::crash(std::uint64_t seed, const CrashImage& image) {
  const MutexLock lock(mutex_);
  CrashDice dice(seed);
  TreeCrash crash{.data = image.data, .names = image.names};
  if (image.tear_last_sector) {
    std::uint64_t last = 0;
    for (const auto& [path, inode] : files_of(*root_)) {
      if (inode->last_pending_write() > last) {
        last = inode->last_pending_write();
        crash.torn = inode.get();
      }
    }
  }
  return std::make_shared<World>(options_, crashed_tree(*root_, dice, crash));
}

std::shared_ptr<SimDisk::World> SimDisk::World::clone() {
  const MutexLock lock(mutex_);
  return std::make_shared<World>(options_, cloned_tree(*root_));
}

void SimDisk::World::fail(const DiskFault& fault) {
  CHECK(fault.nth > 0);
  const MutexLock lock(mutex_);
  faults_.push_back({.fault = fault});
}

void SimDisk::World::clear_faults() {
  const MutexLock lock(mutex_);
  faults_.clear();
}

std::uint64_t SimDisk::World::faults_struck() {
  const MutexLock lock(mutex_);
  return faults_struck_;
}

void SimDisk::World::set_capacity(std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  options_.capacity_bytes = bytes;
}

std::uint64_t SimDisk::World::used_bytes() {
  const MutexLock lock(mutex_);
  return used();
}

SimDirectory& SimDisk::World::parent_of(std::string_view path) {
  SimDirectory* directory = root_.get();
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    const auto found = directory->now.find(path.substr(0, slash));
    CHECK(found != directory->now.end() && found->second.directory);
    directory = found->second.directory.get();
    path.remove_prefix(slash + 1);
  }
  return *directory;
}

SimInode& SimDisk::World::file_at(std::string_view path) {
  SimDirectory& directory = parent_of(path);
  const auto found = directory.now.find(path.substr(path.rfind('/') + 1));
  CHECK(found != directory.now.end() && found->second.file);
  return *found->second.file;
}

void SimDisk::World::flip(std::string_view path, std::uint64_t byte, std::uint8_t mask) {
  const MutexLock lock(mutex_);
  file_at(path).flip(byte, mask);
}

void SimDisk::World::truncate(std::string_view path, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  SimInode& inode = file_at(path);
  PagedBytes cut = inode.current();
  cut.resize(bytes);
  inode.put(cut);
}

void SimDisk::World::erase(std::string_view path) {
  const MutexLock lock(mutex_);
  SimDirectory& directory = parent_of(path);
  const std::string name(path.substr(path.rfind('/') + 1));
  const auto found = directory.now.find(name);
  CHECK(found != directory.now.end());
  if (found->second.directory) {
    unlink_all(*found->second.directory);
  } else {
    found->second.file->links = 0;
    unlinked_.emplace_back(found->second.file);
  }
  directory.now.erase(name);
  directory.durable.erase(name);
}

void SimDisk::World::put(std::string_view path, Bytes bytes) {
  const MutexLock lock(mutex_);
  SimDirectory& directory = parent_of(path);
  const std::string name(path.substr(path.rfind('/') + 1));
  SimEntry& entry = directory.now[name];
  if (!entry.file) {
    entry.file = std::make_shared<SimInode>();
    entry.file->links = 1;
    directory.durable[name] = entry;
  }
  PagedBytes content;
  content.write(0, bytes);
  entry.file->put(content);
}

std::vector<SimDisk::FileInfo> SimDisk::World::files() {
  const MutexLock lock(mutex_);
  std::vector<FileInfo> result;
  for (const auto& [path, inode] : files_of(*root_)) {
    result.push_back({.path = path, .bytes = inode->size()});
  }
  return result;
}

std::vector<std::byte> SimDisk::World::contents(std::string_view path) {
  const MutexLock lock(mutex_);
  const SimInode& inode = file_at(path);
  std::vector<std::byte> bytes(static_cast<std::size_t>(inode.size()));
  inode.read(0, bytes);
  return bytes;
}

}  // namespace lignum::jepsen
