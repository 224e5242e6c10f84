// What one step of the core costs, and whether it allocates. Not run by ctest:
//   bin/core_bench --benchmark_min_time=0.5
// The counter "allocs" is calls of operator new for each iteration, inside the core and for its
// output; what the messages were made of before is the network's.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace {

std::uint64_t allocations = 0;

}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads,cppcoreguidelines-*)
void* operator new(std::size_t bytes) {
  ++allocations;
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-new-delete-overloads,cppcoreguidelines-*)

namespace lignum::raft {
namespace {

constexpr std::size_t kPayloadBytes = 128;
constexpr Session kNoSession = 0;

Core core_of(std::uint32_t node, std::uint32_t voters) {
  Membership membership;
  for (std::uint32_t each = 1; each <= voters; ++each) membership.voters.push_back(member(each));
  Options options;
  options.seed = node;
  options.uncommitted_bytes_max = std::size_t{1} << 30;
  return {options, Boot{.self = member(node),
                        .group = GroupIncarnation(1),
                        .hard_state = {},
                        .base = {},
                        .last = {},
                        .terms = {},
                        .commit = {},
                        .configs = {{.index = Index(0), .membership = std::move(membership)}}}};
}

Message message(std::uint32_t from, std::uint32_t to, decltype(Message::body) body) {
  return {.from = member(from), .to = member(to), .recovery = 0, .body = std::move(body)};
}

// Stands in for disk, network and log of one core; uses its memory again.
class Host {
 public:
  explicit Host(Core core) : core_(std::move(core)) {}
  Core& core() { return core_; }
  // An append on its way to a follower.
  struct Sent {
    std::uint32_t to = 0;
    Session session = kNoSession;
    Index previous;
    Index last;
  };
  // Since the last call.
  void take_sent(std::vector<Sent>& into) {
    into.clear();
    into.swap(sent_);
  }

  void drain(const Payload& payload) {
    while (core_.has_output()) {
      core_.take_output(output_);
      for (Message& each : output_.send_now) note(each);
      for (const Fetch& fetch : output_.fetch) supply(fetch, payload);
      if (!output_.persist) continue;
      for (Message& each : output_.persist->send_after_persist) note(each);
      const WriteToken token = output_.persist->token;
      core_.reuse(*std::exchange(output_.persist, std::nullopt));
      core_.on_persisted(token);
    }
  }

  // The memory of entries that were sent serves those that are sent next.
  std::vector<Entry> entries(LogId previous, std::size_t count, const Payload& payload) {
    std::vector<Entry> made;
    if (!spare_.empty()) {
      made = std::move(spare_.back());
      spare_.pop_back();
    }
    made.clear();
    Index index = previous.index;
    for (std::size_t i = 0; i < count; ++i) {
      index = index.next();
      Entry entry;
      entry.header.index = index;
      entry.header.term = previous.term;
      entry.header.kind = EntryKind::kBatch;
      entry.payload = payload;
      made.push_back(std::move(entry));
    }
    return made;
  }
  void give_back(std::vector<Entry> spent) {
    if (spent.capacity() == 0) return;
    spent.clear();
    spare_.push_back(std::move(spent));
  }

 private:
  void note(Message& each) {
    if (auto* append = std::get_if<AppendEntries>(&each.body)) {
      sent_.push_back({.to = each.to.node.value(),
                       .session = append->session,
                       .previous = append->previous.index,
                       .last = append->previous.index + append->entries.size()});
      give_back(std::move(append->entries));
    }
  }
  void supply(const Fetch& fetch, const Payload& payload) {
    const Index before(fetch.first.value() - 1);
    std::vector<Entry> found =
        entries({.term = core_.term(), .index = before}, fetch.last - before, payload);
    for (Entry& entry : found) entry.header.term = *core_.term_at(entry.header.index);
    core_.supply(fetch, std::move(found));
  }

  Core core_;
  Output output_;
  std::vector<Sent> sent_;
  std::vector<std::vector<Entry>> spare_;
};

Host leader_of(std::uint32_t voters, const Payload& payload) {
  Host host(core_of(1, voters));
  host.core().campaign(Campaign::kElection);
  host.drain(payload);
  for (std::uint32_t node = 2; node <= voters; ++node) {
    host.core().step(message(node, 1,
                             RequestVoteReply{.term = host.core().term(),
                                              .candidacy = host.core().term(),
                                              .kind = Campaign::kElection,
                                              .granted = true}));
    host.drain(payload);
  }
  return host;
}

// Followers answer all that was sent to them. The vector is kept from call to call.
void acknowledge(Host& host, std::vector<Host::Sent>& sent, const Payload& payload) {
  host.take_sent(sent);
  for (const Host::Sent& each : sent) {
    host.core().step(message(each.to, 1,
                             AppendReply{.term = host.core().term(),
                                         .session = each.session,
                                         .previous = each.previous,
                                         .match = each.last,
                                         .conflict = std::nullopt}));
  }
  host.drain(payload);
}

Payload payload_of(std::size_t bytes) { return Payload(std::vector<std::byte>(bytes)); }

class AllocationCount {
 public:
  explicit AllocationCount(benchmark::State& state) : state_(state) {}
  ~AllocationCount() {
    state_.counters["allocs"] = benchmark::Counter(static_cast<double>(allocations - before_),
                                                   benchmark::Counter::kAvgIterations);
  }
  AllocationCount(const AllocationCount&) = delete;
  AllocationCount& operator=(const AllocationCount&) = delete;

 private:
  benchmark::State& state_;
  std::uint64_t before_ = allocations;
};

// A follower hears a heartbeat and answers.
void follower_heartbeat(benchmark::State& state) {
  const Payload payload = payload_of(kPayloadBytes);
  Host host(core_of(2, static_cast<std::uint32_t>(state.range(0))));
  const auto beat = [&] {
    host.core().step(message(1, 2, Heartbeat{.term = Term(1), .session = 1}));
    host.drain(payload);
  };
  beat();
  const AllocationCount count(state);
  for (auto _ : state) beat();
}

// A leader hears the answer to a heartbeat.
void leader_heartbeat_reply(benchmark::State& state) {
  const Payload payload = payload_of(kPayloadBytes);
  const auto voters = static_cast<std::uint32_t>(state.range(0));
  Host host = leader_of(voters, payload);
  std::vector<Host::Sent> sent;
  acknowledge(host, sent, payload);
  Session session = kNoSession;
  for (const Host::Sent& each : sent) {
    if (each.to == 2) session = each.session;
  }
  const auto answer = [&] {
    host.core().step(message(2, 1, HeartbeatReply{.term = host.core().term(), .session = session}));
    host.drain(payload);
  };
  answer();
  const AllocationCount count(state);
  for (auto _ : state) answer();
}

// A follower takes entries, flushes them and acknowledges.
void follower_append(benchmark::State& state) {
  const Payload payload = payload_of(kPayloadBytes);
  Host host(core_of(2, static_cast<std::uint32_t>(state.range(0))));
  const auto entries = static_cast<std::size_t>(state.range(1));
  LogId previous;
  const auto append = [&] {
    const std::uint64_t before = allocations;
    AppendEntries body{
        .term = Term(1),
        .session = 1,
        .previous = previous,
        .commit = previous.index,
        .entries = host.entries({.term = Term(1), .index = previous.index}, entries, payload)};
    previous = {.term = Term(1), .index = previous.index + entries};
    const std::uint64_t made = allocations - before;
    host.core().step(message(1, 2, std::move(body)));
    host.drain(payload);
    // Not the core's.
    allocations -= made;
  };
  for (int i = 0; i < 100; ++i) append();
  const AllocationCount count(state);
  for (auto _ : state) append();
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

// A leader takes proposals, sends them to all, flushes them, hears every ack and commits.
void leader_round(benchmark::State& state) {
  const Payload payload = payload_of(kPayloadBytes);
  const auto voters = static_cast<std::uint32_t>(state.range(0));
  Host host = leader_of(voters, payload);
  std::vector<Host::Sent> sent;
  acknowledge(host, sent, payload);
  acknowledge(host, sent, payload);
  const auto round = [&] {
    for (std::int64_t i = 0; i < state.range(1); ++i) {
      Entry entry;
      entry.header.kind = EntryKind::kBatch;
      entry.payload = payload;
      benchmark::DoNotOptimize(host.core().propose(std::move(entry)));
    }
    host.drain(payload);
    acknowledge(host, sent, payload);
    // The news of the commit.
    acknowledge(host, sent, payload);
  };
  for (int i = 0; i < 100; ++i) round();
  const Index before = host.core().commit();
  std::uint64_t rounds = 0;
  {
    const AllocationCount count(state);
    for (auto _ : state) {
      round();
      ++rounds;
    }
  }
  const std::uint64_t committed = host.core().commit() - before;
  if (committed != rounds * static_cast<std::uint64_t>(state.range(1))) {
    state.SkipWithError("not everything was committed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

BENCHMARK(follower_heartbeat)->ArgNames({"voters"})->Arg(3)->Arg(5);
BENCHMARK(leader_heartbeat_reply)->ArgNames({"voters"})->Arg(3)->Arg(5);
BENCHMARK(follower_append)->ArgNames({"voters", "entries"})->ArgsProduct({{3, 5}, {1, 64}});
BENCHMARK(leader_round)->ArgNames({"voters", "entries"})->ArgsProduct({{3, 5}, {1, 64}});

}  // namespace
}  // namespace lignum::raft

BENCHMARK_MAIN();
