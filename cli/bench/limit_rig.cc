#include "cli/bench/limit_rig.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/bench/limit_disk.h"
#include "cli/bench/limit_load.h"
#include "cli/bench/limit_server.h"
#include "cli/bench/limit_socket.h"
#include "cli/bench/workload.h"
#include "raft/check.h"
#include "raft/error.h"
#include "storage/file.h"
#include "storage/posix_file.h"

namespace lignum::cli {

namespace {

std::string copy_name(std::size_t copy) { return fmt::format("copy-{}", copy); }

}  // namespace

Result<std::unique_ptr<LimitRig>> LimitRig::make(Options options) {
  CHECK(options.replicas >= 1 && options.replicas <= kReplicasMax);
  std::unique_ptr<LimitRig> rig(new LimitRig(std::move(options)));
  TRY_ASSIGN(parent, storage::open_posix_directory(rig->options_.directory));
  rig->parent_ = std::move(parent);
  rig->room_name_ = fmt::format("logctl-bench-{}", ::getpid());
  TRY_ASSIGN(room, rig->parent_->open_directory(rig->room_name_));
  rig->room_ = std::move(room);
  for (std::size_t copy = 0; copy < rig->options_.replicas; ++copy) {
    TRY_ASSIGN(directory, rig->room_->open_directory(copy_name(copy)));
    rig->copies_.push_back(std::move(directory));
    if (rig->options_.kind == Files::kRecycled) {
      TRY(LimitDisk::prepare(*rig->copies_.back(), rig->options_.files));
    }
  }
  return rig;
}

LimitRig::~LimitRig() {
  // What cannot be removed stays behind under a name that says whose it is.
  for (std::size_t copy = 0; copy < copies_.size(); ++copy) {
    [[maybe_unused]] const auto emptied = LimitDisk::remove(*copies_[copy]);
    [[maybe_unused]] const auto removed = room_->remove(copy_name(copy));
  }
  if (room_) [[maybe_unused]]
    const auto removed = parent_->remove(room_name_);
}

Result<LimitMode> LimitRig::mode_for(const Workload& workload) {
  if (options_.kind == Files::kFresh) return LimitMode::kGrowing;
  // About half of what is in flight is flushed while the other half gathers.
  const std::size_t flush_bytes =
      std::clamp(workload.record_bytes * workload.in_flight / workload.groups / 2,
                 storage::kBlockBytes, kBenchBatchBytes * 2);
  const auto known = modes_.find(flush_bytes);
  if (known != modes_.end()) return known->second;
  TRY_ASSIGN(mode, LimitDisk::better_mode(*copies_.front(), flush_bytes));
  modes_[flush_bytes] = mode;
  return mode;
}

Result<RunResult> LimitRig::run(const Workload& workload, const std::atomic<bool>& interrupted) {
  CHECK(workload.groups <= options_.files);
  TRY_ASSIGN(mode, mode_for(workload));
  std::vector<std::unique_ptr<LimitServer>> servers;
  std::vector<std::uint16_t> followers;
  for (std::size_t copy = copies_.size(); copy-- > 1;) {
    TRY_ASSIGN(follower,
               LimitServer::start(*copies_[copy],
                                  {.files = workload.groups, .mode = mode, .followers = {}}));
    followers.push_back(follower->port());
    servers.push_back(std::move(follower));
  }
  TRY_ASSIGN(leader,
             LimitServer::start(*copies_.front(),
                                {.files = workload.groups, .mode = mode, .followers = followers}));
  const std::uint16_t port = leader->port();
  // Stopped first, before the followers it talks to.
  servers.push_back(std::move(leader));
  TRY_ASSIGN(socket, LimitSocket::connect(port));
  LimitLoad load(std::move(socket), workload);
  auto result = load.run(
      [&servers] {
        double seconds = 0;
        for (const auto& server : servers) seconds += server->cpu_seconds();
        return seconds;
      },
      interrupted);
  const std::optional<Error> failure = servers.back()->failure();
  while (!servers.empty()) servers.pop_back();
  if (failure) return std::unexpected(*failure);
  if (result) result->note = limit_mode_name(mode);
  return result;
}

}  // namespace lignum::cli
