#include "tests/cluster/load.h"

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <thread>
#include <utility>

#include "net/client.h"
#include "raft/error.h"
#include "storage/level.h"
#include "tests/cluster/ledger.h"

namespace lignum::cluster {

namespace {

constexpr std::uint64_t kKeys = 8;
// Longer than any restart: an append survives it or the proof says so.
constexpr std::chrono::milliseconds kAppendDeadline{120000};

}  // namespace

Load::Load(Options options, Ledger& ledger) : options_(std::move(options)), ledger_(ledger) {}

Result<void> Load::start() {
  for (std::uint32_t writer = 0; writer < options_.writers; ++writer) {
    TRY_ASSIGN(client, Client::connect({.endpoints = {options_.endpoint},
                                        .name = "load " + std::to_string(writer),
                                        .append_deadline = kAppendDeadline}));
    clients_.push_back(std::move(client));
  }
  for (std::uint32_t writer = 0; writer < options_.writers; ++writer) {
    threads_.emplace_back(&Load::write, this, writer);
  }
  return {};
}

void Load::write(std::uint32_t writer) {
  while (const auto begun = ledger_.begin(writer, options_.pending_max)) {
    const RecordName name = *begun;
    const std::string key = std::to_string(writer) + "-" + std::to_string(name.sequence % kKeys);
    Record record{.key = to_bytes(key), .value = to_bytes(value_of(name)), .level = Level::kInfo};
    const auto queued = clients_[writer]->append(
        options_.stream, std::move(record),
        [this, name](Result<AppendAck> outcome) { ledger_.end(name, outcome); });
    if (!queued) {
      ledger_.end(name, std::unexpected(queued.error()));
    }
  }
}

void Load::join() {
  ledger_.close();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void Load::stop() {
  join();
  for (const auto& client : clients_) {
    client->flush();
  }
  clients_.clear();
}

Load::~Load() {
  join();
  // The end of a client ends its appends.
  clients_.clear();
}

}  // namespace lignum::cluster
