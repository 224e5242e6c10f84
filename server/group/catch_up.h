#pragma once

// Entries for followers: out of memory where the replica still has them, else read from the log.
//
// A part of a replica; its lane only. The core asks for one piece of one follower at a time
// (raft::Fetch), so the reads that are out are bounded by the members of the group. What cannot be
// answered yet (entries that wait for a truncation to be durable, a reader pool that is full) waits
// for retry().

#include <functional>
#include <memory>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/output.h"
#include "server/group/ports.h"
#include "server/group/recent_entries.h"
#include "storage/log.h"

namespace lignum::server {

class CatchUp {
 public:
  // Called once for each fetch(), possibly from inside it: entries, kTrimmed where the log does not
  // hold the first one any more, or the error of a damaged log.
  using Supply = std::function<void(const raft::Fetch&, Result<std::vector<Entry>>)>;

  // References outlive the object.
  CatchUp(Ports& ports, storage::Log& log, const RecentEntries& recent, Supply supply);
  ~CatchUp();
  CatchUp(const CatchUp&) = delete;
  CatchUp& operator=(const CatchUp&) = delete;

  void fetch(const raft::Fetch& fetch);
  // Looks again at what waits.
  void retry();

 private:
  void read(const raft::Fetch& fetch);

  Ports& ports_;
  storage::Log& log_;
  const RecentEntries& recent_;
  Supply supply_;
  std::vector<raft::Fetch> waiting_;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
