#pragma once

// Producers that append for as long as they are asked to, through whatever happens to the server.

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "tests/cluster/ledger.h"

namespace lignum::cluster {

// Each writer is one idempotent producer: a client of its own with a thread that keeps a bounded
// number of appends under way, spread over the shards by eight keys, and notes every outcome in
// the ledger. start(), stop() and the destructor belong to one thread.
class Load {
 public:
  struct Options {
    std::string endpoint;
    std::string stream;
    std::uint32_t writers = 4;
    // Appends of one writer without an outcome.
    std::uint64_t pending_max = 32;
  };
  Load(Options options, Ledger& ledger);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  Load(Load&&) = delete;
  Load& operator=(Load&&) = delete;
  // Appends without an outcome are given up.
  ~Load();

  // Connects the writers and sets them to work.
  Result<void> start();
  // Begins no more appends and lets those under way come to their outcome.
  void stop();

 private:
  void write(std::uint32_t writer);
  void join();

  Options options_;
  Ledger& ledger_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
};

}  // namespace lignum::cluster
