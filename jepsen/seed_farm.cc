#include "jepsen/seed_farm.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/poll.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <istream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/check/history.h"
#include "jepsen/seed_report.h"
#include "jepsen/sim/run.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "raft/check.h"

namespace lignum::jepsen {

namespace {

std::string encode(const std::map<std::string_view, std::uint64_t>& counts) {
  std::string text = fmt::format(" {}", counts.size());
  for (const auto& [name, count] : counts) {
    std::string word(name);
    std::ranges::replace(word, ' ', '_');
    text += fmt::format(" {} {}", word, count);
  }
  return text;
}

std::map<std::string, std::uint64_t> decode_counts(std::istream& in) {
  std::size_t size = 0;
  in >> size;
  std::map<std::string, std::uint64_t> counts;
  for (std::size_t i = 0; i < size; ++i) {
    std::string word;
    std::uint64_t count = 0;
    in >> word >> count;
    std::ranges::replace(word, '_', ' ');
    counts[word] += count;
  }
  return counts;
}

// What goes through a worker's pipe: "begin SEED", then one line of numbers and words.
std::string encode(const RunReport& report) {
  const WorkloadCounts& counts = report.counts;
  std::string line =
      fmt::format("end {} {} {} {} {} {} {} {} {} {} {} {} {} {}", report.seed,
                  static_cast<int>(report.verdict), report.trace_hash, report.simulated,
                  report.steps, counts.acked, counts.records, counts.unknown, counts.failed,
                  counts.mismatches, counts.reads, counts.tailed, counts.killed, report.snapshots) +
      encode(report.faults) + encode(report.rare);
  std::string what = report.what;
  std::ranges::replace(what, '\n', ' ');
  return line + " " + what + "\n";
}

struct Decoded {
  std::uint64_t seed = 0;
  int verdict = 0;
  std::uint64_t hash = 0;
  Moment simulated = 0;
  std::uint64_t steps = 0;
  WorkloadCounts counts;
  std::uint64_t snapshots = 0;
  std::map<std::string, std::uint64_t> faults;
  std::map<std::string, std::uint64_t> rare;
  std::string what;
};

Decoded decode(const std::string& line) {
  std::istringstream in(line);
  std::string word;
  Decoded report;
  WorkloadCounts& counts = report.counts;
  in >> word >> report.seed >> report.verdict >> report.hash >> report.simulated >> report.steps >>
      counts.acked >> counts.records >> counts.unknown >> counts.failed >> counts.mismatches >>
      counts.reads >> counts.tailed >> counts.killed >> report.snapshots;
  report.faults = decode_counts(in);
  report.rare = decode_counts(in);
  std::getline(in >> std::ws, report.what);
  CHECK(!in.bad());
  return report;
}

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written <= 0) ::_exit(1);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// A node lost its power or its process, or was cut off from others.
bool shaken(const std::map<std::string, std::uint64_t>& faults) {
  constexpr std::array<std::string_view, 4> kKinds = {"power cut", "process killed", "partition",
                                                      "leader deposed"};
  return std::ranges::any_of(
      kKinds, [&](std::string_view kind) { return faults.contains(std::string(kind)); });
}

// Of the processes that have ended.
double processor_seconds() {
  rusage usage{};
  CHECK(::getrusage(RUSAGE_CHILDREN, &usage) == 0);
  const auto seconds = [](const auto& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Smaller pieces of memory lie in the heap; so much of that a worker keeps where it is free.
constexpr int kMappedBytesMin = 32 << 20;
constexpr int kKeptBytes = 256 << 20;
// How often the time is looked at.
constexpr int kLookEveryMs = 100;

struct Worker {
  pid_t pid = 0;
  int pipe = -1;
  // Position in the list of the next seed to begin; then every `jobs`-th.
  std::size_t next = 0;
  std::string unread;
  std::optional<std::uint64_t> running;
};

class Farm {
 public:
  Farm(const std::vector<std::uint64_t>& seeds, const FarmOptions& options)
      : seeds_(seeds),
        options_(options),
        jobs_(std::max<unsigned>(options.jobs, 1)),
        hashes_(seeds.size()) {}

  FarmReport run() {
    for (std::size_t slot = 0; slot < jobs_; ++slot) start(slot);
    while (!workers_.empty()) turn();
    if (progress_) fmt::print(stderr, "\r{:70}\r", "");
    report_.seconds = seconds();
    report_.processor_seconds = processor_seconds() - used_before_;
    report_.jobs = jobs_;
    for (const std::uint64_t hash : hashes_) {
      report_.hash = (report_.hash ^ hash) * 0x9FB21C651E98DF25ULL;
    }
    std::ranges::sort(report_.failed, {}, &FailedSeed::seed);
    return std::move(report_);
  }

 private:
  void start(std::size_t next) {
    if (next >= seeds_.size()) return;
    std::array<int, 2> ends{};
    CHECK(::pipe(ends.data()) == 0);
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      ::close(ends[0]);
      work(next, ends[1]);
    }
    ::close(ends[1]);
    workers_.push_back({.pid = pid, .pipe = ends[0], .next = next, .unread = {}, .running = {}});
  }

  [[noreturn]] void work(std::size_t next, int pipe) const {
    // What one run gives back serves the next: to the kernel it would go page by page. An allocator
    // that does not know these limits has its own.
    (void)::mallopt(M_MMAP_THRESHOLD, kMappedBytesMin);
    (void)::mallopt(M_TRIM_THRESHOLD, kKeptBytes);
#ifdef LIGNUM_MUTANTS
    selected_mutant() = options_.mutant;
    // What a CHECK says about a bug that was put there is no news.
    std::fclose(stderr);
#endif
    for (; next < seeds_.size(); next += jobs_) {
      write_all(pipe, fmt::format("begin {}\n", seeds_[next]));
      write_all(pipe, encode(run_plan(draw_plan(seeds_[next]), nullptr)));
    }
    ::_exit(0);
  }

  void turn() {
    std::vector<pollfd> files;
    files.reserve(workers_.size());
    for (const Worker& worker : workers_) files.push_back({.fd = worker.pipe, .events = POLLIN});
    CHECK(::poll(files.data(), files.size(), kLookEveryMs) >= 0);
    if (!stopping_ && options_.seconds_max > 0 && seconds() > options_.seconds_max) stop_workers();
    for (std::size_t i = files.size(); i-- > 0;) {
      if (files[i].revents != 0) read(i);
    }
    if (progress_) {
      fmt::print(stderr, "\r{} of {} seeds, {} failed, {} s simulated ", report_.seeds,
                 seeds_.size(), report_.failed.size(), report_.simulated / net::kSecond);
    }
  }

  void read(std::size_t index) {
    Worker& worker = workers_[index];
    std::array<char, 4096> bytes{};
    const auto count = ::read(worker.pipe, bytes.data(), bytes.size());
    if (count <= 0) {
      end(index);
      return;
    }
    worker.unread.append(bytes.data(), static_cast<std::size_t>(count));
    for (std::size_t end = worker.unread.find('\n'); end != std::string::npos;
         end = worker.unread.find('\n')) {
      take(worker, worker.unread.substr(0, end));
      worker.unread.erase(0, end + 1);
    }
  }

  void take(Worker& worker, const std::string& line) {
    if (line.starts_with("begin ")) {
      worker.running = std::strtoull(line.c_str() + 6, nullptr, 10);
      return;
    }
    const Decoded decoded = decode(line);
    worker.running.reset();
    hashes_[worker.next] = decoded.hash;
    worker.next += jobs_;
    add(decoded);
  }

  void add(const Decoded& decoded) {
    ++report_.seeds;
    report_.simulated += decoded.simulated;
    report_.steps += decoded.steps;
    WorkloadCounts& sum = report_.counts;
    sum.acked += decoded.counts.acked;
    sum.records += decoded.counts.records;
    sum.unknown += decoded.counts.unknown;
    sum.failed += decoded.counts.failed;
    sum.mismatches += decoded.counts.mismatches;
    sum.reads += decoded.counts.reads;
    sum.tailed += decoded.counts.tailed;
    sum.killed += decoded.counts.killed;
    if (shaken(decoded.faults)) {
      ++report_.shaken_seeds;
      report_.acked_in_shaken += decoded.counts.acked;
    }
    report_.snapshots += decoded.snapshots;
    for (const auto& [kind, count] : decoded.faults) report_.faults[kind] += count;
    for (const auto& [point, count] : decoded.rare) report_.rare[point] += count;
    if (decoded.verdict != 0) {
      fail({.seed = decoded.seed,
            .verdict = static_cast<Verdict>(decoded.verdict),
            .what = decoded.what});
    }
  }

  void fail(FailedSeed failed) {
    if (stopping_) return;
    if (!options_.quiet) {
      fmt::print("seed {}: {}: {}\n", failed.seed, verdict_name(failed.verdict), failed.what);
      std::fflush(stdout);
    }
    report_.failed.push_back(std::move(failed));
    if (options_.stop_at_failure) stop_workers();
  }

  void stop_workers() {
    stopping_ = true;
    for (const Worker& worker : workers_) ::kill(worker.pid, SIGTERM);
  }

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  }

  void end(std::size_t index) {
    const Worker worker = std::move(workers_[index]);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(index));
    ::close(worker.pipe);
    int status = 0;
    CHECK(::waitpid(worker.pid, &status, 0) == worker.pid);
    if (!worker.running || stopping_) return;
    ++report_.seeds;
    fail({.seed = *worker.running,
          .verdict = Verdict::kCrash,
          .what = WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                      : fmt::format("exit code {}", WEXITSTATUS(status))});
    if (!stopping_) start(worker.next + jobs_);
  }

  const std::vector<std::uint64_t>& seeds_;
  const FarmOptions options_;
  const unsigned jobs_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const double used_before_ = processor_seconds();
  bool stopping_ = false;
  std::vector<std::uint64_t> hashes_;
  std::vector<Worker> workers_;
  FarmReport report_;
  const bool progress_ = ::isatty(STDERR_FILENO) == 1;
};

}  // namespace

FarmReport run_seeds(const std::vector<std::uint64_t>& seeds, const FarmOptions& options) {
  return Farm(seeds, options).run();
}

}  // namespace lignum::jepsen
