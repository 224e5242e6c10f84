#pragma once

// The loads that read: everything in some streams, once, as fast as it comes.

#include <atomic>
#include <string>
#include <vector>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/workload.h"
#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

// Reads one stream from its first record to the watermark it has now. Bytes are those of the
// values. kCancelled when interrupted.
[[nodiscard]] Result<RunResult> run_read_load(Client& client, const std::string& stream,
                                              const std::atomic<bool>& interrupted);

// Holds what stands in the streams (each with one shard) against the ledger, whose lanes they are.
[[nodiscard]] Result<void> read_back(Client& client, const std::vector<std::string>& streams,
                                     AckLedger& ledger, const std::atomic<bool>& interrupted);

}  // namespace lignum::cli
