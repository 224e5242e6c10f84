#pragma once

// Everything that `bench limit` needs, put up and taken down: a directory with pre-written files
// for each copy, a server for each, a client. Owned by one thread.

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench/limit_disk.h"
#include "cli/bench/limit_server.h"
#include "cli/bench/workload.h"
#include "raft/error.h"
#include "storage/file.h"

namespace lignum::cli {

class LimitRig {
 public:
  enum class Files : std::uint8_t { kRecycled, kFresh };
  struct Options {
    // The files go into a subdirectory of it.
    std::string directory;
    std::size_t files = 1;
    std::size_t replicas = 1;
    Files kind = Files::kRecycled;
  };
  static constexpr std::size_t kReplicasMax = 7;

  // Writes the files in full: 64 MiB for each file and replica.
  [[nodiscard]] static Result<std::unique_ptr<LimitRig>> make(Options options);
  // Removes the files.
  ~LimitRig();
  LimitRig(const LimitRig&) = delete;
  LimitRig& operator=(const LimitRig&) = delete;

  // One run with servers of its own. workload.groups is at most Options::files.
  [[nodiscard]] Result<RunResult> run(const Workload& workload,
                                      const std::atomic<bool>& interrupted);

 private:
  explicit LimitRig(Options options) : options_(std::move(options)) {}
  Result<LimitMode> mode_for(const Workload& workload);

  const Options options_;
  std::unique_ptr<storage::Directory> parent_;
  std::string room_name_;
  std::unique_ptr<storage::Directory> room_;
  std::vector<std::unique_ptr<storage::Directory>> copies_;
  // Found by trial, by the size of a flush.
  std::map<std::size_t, LimitMode> modes_;
};

}  // namespace lignum::cli
