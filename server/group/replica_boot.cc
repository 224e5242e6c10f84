#include "server/group/replica_boot.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/types.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

// Bytes of the tail that are read at once.
constexpr std::size_t kReadBytes = std::size_t{4} << 20;

Result<LogId> id_at(const storage::Log& log, Index index) {
  if (index == Index(0)) return LogId{};
  const auto id = log.id_at(index);
  if (!id) return fail(Errc::kCorrupt, fmt::format("the log's entry {} is missing", index.value()));
  return *id;
}

Result<std::vector<raft::TermRun>> term_runs(const storage::Log& log, Index from) {
  std::vector<raft::TermRun> runs;
  const Index last = log.last().index;
  while (from <= last) {
    TRY_ASSIGN(first, id_at(log, from));
    runs.push_back({.first = from, .term = first.term});
    // The last entry of this term lies in [low, high].
    Index low = from;
    Index high = last;
    while (low < high) {
      const Index middle = low + (high - low + 1) / 2;
      TRY_ASSIGN(id, id_at(log, middle));
      if (id.term == first.term) {
        low = middle;
      } else {
        high = Index(middle.value() - 1);
      }
    }
    from = low.next();
  }
  return runs;
}

// Adds the configurations above `applied`.
Result<void> read_configs(storage::Log& log, Index applied, std::vector<raft::ConfigAt>& configs) {
  Index next = applied.next();
  while (next <= log.last().index) {
    TRY_ASSIGN(entries, log.read(next, log.last().index, kReadBytes)->run());
    CHECK(!entries.empty() && entries.front().header.index == next);
    for (const Entry& entry : entries) {
      if (entry.header.kind != EntryKind::kMembership) continue;
      TRY_ASSIGN(membership, raft::decode_membership(entry.payload.bytes()));
      configs.push_back({.index = entry.header.index, .membership = std::move(membership)});
    }
    next = entries.back().header.index.next();
  }
  return {};
}

}  // namespace

Result<raft::Boot> read_boot(storage::Log& log, const BootFacts& facts) {
  const Index first = log.first_index();
  CHECK(first > Index(0) && facts.applied.index.next() >= first);
  TRY_ASSIGN(base, id_at(log, Index(first.value() - 1)));
  TRY_ASSIGN(applied, id_at(log, facts.applied.index));
  if (applied != facts.applied) {
    return fail(
        Errc::kCorrupt,
        fmt::format("entry {} has term {} in the log, but the state was made by one of "
                    "term {}",
                    applied.index.value(), applied.term.value(), facts.applied.term.value()));
  }
  TRY_ASSIGN(terms, term_runs(log, first));
  raft::Boot boot{.self = facts.self,
                  .group = facts.group,
                  .hard_state = facts.hard_state,
                  .base = base,
                  // An empty log ends where it begins.
                  .last = std::max(base, log.last()),
                  .terms = std::move(terms),
                  .commit = facts.applied.index,
                  .configs = {facts.config}};
  TRY(read_configs(log, facts.applied.index, boot.configs));
  return boot;
}

}  // namespace lignum::server
