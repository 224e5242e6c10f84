#include "jepsen/sim/sim_disk.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_world.h"
#include "raft/payload.h"
#include "storage/file.h"

namespace lignum::jepsen {

std::string_view disk_op_name(DiskOp op) {
  constexpr std::array<std::string_view, 12> kNames = {
      "create",         "write",          "sync",       "resize", "rename", "remove",
      "sync-directory", "make-directory", "any-change", "open",   "read",   "look"};
  return kNames.at(static_cast<std::size_t>(op));
}

std::string DiskCall::describe() const {
  std::string text = std::string(disk_op_name(op)) + " " + path;
  if (op == DiskOp::kWrite) {
    text += " [" + std::to_string(position) + ", +" + std::to_string(bytes) + ")";
  } else if (op == DiskOp::kResize) {
    text += " to " + std::to_string(position);
  }
  return text;
}

SimDisk::SimDisk(const SimDiskOptions& options) : world_(std::make_shared<World>(options)) {}
SimDisk::SimDisk(std::shared_ptr<World> world) : world_(std::move(world)) {}
SimDisk::~SimDisk() = default;

std::unique_ptr<storage::Directory> SimDisk::root() { return world_->root(); }
std::uint64_t SimDisk::operations() const { return world_->operations(); }
std::vector<DiskCall> SimDisk::calls() const { return world_->calls(); }
void SimDisk::crash_at(std::uint64_t operation) { world_->crash_at(operation); }
void SimDisk::restart() { world_->restart(); }
bool SimDisk::crashed() const { return world_->crashed(); }

std::unique_ptr<SimDisk> SimDisk::crash(std::uint64_t seed, const CrashImage& image) const {
  return std::unique_ptr<SimDisk>(new SimDisk(world_->crash(seed, image)));
}

std::unique_ptr<SimDisk> SimDisk::clone() const {
  return std::unique_ptr<SimDisk>(new SimDisk(world_->clone()));
}

void SimDisk::fail(const DiskFault& fault) { world_->fail(fault); }
void SimDisk::clear_faults() { world_->clear_faults(); }
std::uint64_t SimDisk::faults_struck() const { return world_->faults_struck(); }
void SimDisk::set_capacity(std::uint64_t bytes) { world_->set_capacity(bytes); }
std::uint64_t SimDisk::used_bytes() const { return world_->used_bytes(); }

void SimDisk::flip(std::string_view path, std::uint64_t byte, std::uint8_t mask) {
  world_->flip(path, byte, mask);
}
void SimDisk::truncate(std::string_view path, std::uint64_t bytes) {
  world_->truncate(path, bytes);
}
void SimDisk::erase(std::string_view path) { world_->erase(path); }
void SimDisk::put(std::string_view path, Bytes bytes) { world_->put(path, bytes); }
std::vector<SimDisk::FileInfo> SimDisk::files() const { return world_->files(); }
std::vector<std::byte> SimDisk::contents(std::string_view path) const {
  return world_->contents(path);
}

}  // namespace lignum::jepsen
