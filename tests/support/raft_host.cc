#include "tests/support/raft_host.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/support/raft_text.h"
#include "tests/support/replica_log.h"

namespace lignum::world {

namespace {

// A core that never rests is a bug.
constexpr std::size_t kOutputsMax = 10'000;

}  // namespace

RaftHost::RaftHost(const HostSettings& settings, ReplicaLog disk, Index commit, Notes notes)
    : settings_(settings),
      disk_(std::move(disk)),
      log_(disk_),
      applied_(commit),
      ready_commit_(commit),
      core_(settings_.options, disk_.boot(settings_.self, commit)),
      notes_(std::move(notes)) {}

void RaftHost::pump() {
  for (std::size_t outputs = 0; core_.has_output(); ++outputs) {
    CHECK(outputs < kOutputsMax);
    raft::Output output = core_.take_output();
    if (output.persist) {
      accept(*std::move(output.persist));
    }
    for (const raft::Fetch& fetch : output.fetch) {
      answer(fetch);
    }
    for (const raft::SendSnapshot& request : output.send_snapshot) {
      add_snapshot(request);
    }
    for (raft::Message& message : output.send_now) {
      const ReplicaId to = message.to;
      add_letter({.from = self(), .to = to, .body = std::move(message), .request = {}});
    }
    for (const raft::ReadReady& read : output.reads) {
      notes_(describe(self()) + " read " +
             (read.index ? "at " + std::to_string(read.index->value()) : "failed"));
    }
    if (output.role_change) {
      note_role(*output.role_change);
    }
  }
}

void RaftHost::accept(raft::PersistOp op) {
  if (op.restore) {
    notes_(describe(self()) + " installs " + describe(op.restore->id));
  }
  if (op.truncate_after) {
    notes_(describe(self()) + " cuts its log after " + std::to_string(op.truncate_after->value()));
  }
  log_.perform(op);
  ready_.writes.push_back(std::move(op));
}

void RaftHost::add_snapshot(const raft::SendSnapshot& request) {
  raft::InstallSnapshot body{
      .term = core_.term(), .session = request.session, .snapshot = snapshot()};
  add_letter({.from = self(),
              .to = request.to,
              .body = raft::Message{.from = self(),
                                    .to = request.to,
                                    .recovery = core_.recovery(),
                                    .body = std::move(body)},
              .request = request});
}

void RaftHost::note_role(const raft::RoleChange& change) {
  notes_(describe(self()) + " is " + std::string(describe(change.role)) + " at term " +
         std::to_string(change.term.value()) + ", leader " + describe(change.leader));
}

void RaftHost::after_input() {
  if (settings_.taking == Taking::kEager) {
    pump();
  }
}

void RaftHost::answer(const raft::Fetch& fetch) {
  if (fetch.first <= log_.base().index) {
    core_.supply_failed(fetch);
    return;
  }
  std::vector<Entry> entries;
  std::size_t bytes = 0;
  for (Index index = fetch.first; index <= fetch.last; index = index.next()) {
    const Entry* entry = log_.find(index);
    CHECK(entry != nullptr);
    bytes += entry->payload.size() + raft::kEntryOverheadBytes;
    if (!entries.empty() && bytes > fetch.bytes_max) {
      break;
    }
    entries.push_back(*entry);
  }
  core_.supply(fetch, std::move(entries));
}

bool RaftHost::has_ready() const {
  return !ready_.letters.empty() || !ready_.writes.empty() || core_.has_output() || commit_moved();
}

Ready RaftHost::take_ready() {
  pump();
  ready_commit_ = core_.commit();
  return std::exchange(ready_, {});
}

void RaftHost::persisted(const raft::WriteToken& token) {
  core_.on_persisted(token);
  after_input();
}

Index RaftHost::applicable() const { return std::min(core_.commit(), core_.durable()); }

void RaftHost::apply_to(Index index) {
  // A snapshot that was installed is the applied state.
  applied_ = std::max({applied_, disk_.base().index, index});
}

void RaftHost::compact(Index index) {
  CHECK(index <= applied_);
  log_.compact(index);
  disk_.compact(index);
  core_.on_compacted(log_.base());
  after_input();
}

raft::Snapshot RaftHost::snapshot() const {
  const Index index = std::max(applied_, core_.base().index);
  const std::optional<Term> term = core_.term_at(index);
  CHECK(term.has_value());
  return {.id = {.term = *term, .index = index}, .membership = core_.membership_at(index)};
}

}  // namespace lignum::world
