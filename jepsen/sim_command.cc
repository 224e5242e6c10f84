#include "jepsen/sim_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include "cli/word_hints.h"
#include "jepsen/check/check_command.h"
#include "jepsen/explore/explore_command.h"
#include "jepsen/explore/small_scope.h"
#include "jepsen/mutant_hunt.h"
#include "jepsen/seed_farm.h"
#include "jepsen/seed_report.h"
#include "jepsen/sim/run.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/shrink.h"
#include "jepsen/sim/world.h"
#include "raft/mutant.h"
#include "raft/mutant_list.h"

namespace lignum::jepsen {

namespace {

constexpr int kUsage = 2;

struct SimOptions {
  std::optional<std::uint64_t> seed;
  std::string seeds;
  std::string corpus;
  unsigned jobs = 1;
  bool trace = false;
  bool shrink = false;
  std::string mutant;
  bool mutants = false;
  double mutant_seconds = 600;
};

std::optional<std::uint64_t> parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return seed;
}

// "A..B", both included.
std::vector<std::uint64_t> parse_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return {};
  const auto first = parse_seed(text.substr(0, dots));
  const auto last = parse_seed(text.substr(dots + 2));
  std::vector<std::uint64_t> seeds;
  if (!first || !last || *last < *first || *last - *first >= kSeedsMax) return seeds;
  for (std::uint64_t more = 0; more <= *last - *first; ++more) seeds.push_back(*first + more);
  return seeds;
}

// One seed a line; what follows a '#' says why it is there.
std::optional<std::vector<std::uint64_t>> read_corpus(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::vector<std::uint64_t> seeds;
  std::string line;
  while (std::getline(file, line)) {
    line.resize(std::min(line.size(), line.find('#')));
    const std::size_t end = line.find_last_not_of(" \t");
    if (end == std::string::npos) continue;
    line.resize(end + 1);
    const auto seed = parse_seed(line);
    if (!seed) return std::nullopt;
    seeds.push_back(*seed);
  }
  if (file.bad() || seeds.empty()) return std::nullopt;
  return seeds;
}

int run_one(std::uint64_t seed, const SimOptions& options) {
  const bool trace = options.trace;
  const RunPlan plan = draw_plan(seed);
  fmt::print("{}\n", plan.describe());
  // Should the run die, what was told so far is there.
  if (trace) std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const RunReport report = run_plan(plan, trace ? stdout : nullptr);
  print_report(report);
  if (options.shrink && report.verdict != Verdict::kClean) {
    const Shrunk shrunk = shrink(plan, report);
    fmt::print("shrunk to:\n{}\n", shrunk.describe());
    print_report(shrunk.report);
  }
  return static_cast<int>(report.verdict);
}

int run_many(const std::vector<std::uint64_t>& seeds, const FarmOptions& options) {
  const FarmReport report = run_seeds(seeds, options);
  print_summary(report);
  return static_cast<int>(report.worst());
}

// kNone for no name; none, and said why, for an unknown one or in a build without bugs.
std::optional<Mutant> mutant_of(const SimOptions& options) {
  if (!kMutantsBuilt && (options.mutants || !options.mutant.empty())) {
    fmt::print(stderr, "jepsen: this build has no bugs on purpose: build it with preset mutants\n");
    return std::nullopt;
  }
  if (options.mutant.empty()) return Mutant::kNone;
  const auto found = find_mutant(options.mutant);
  if (!found) {
    fmt::print(stderr, "jepsen: no bug is named '{}'; raft/mutant_list.h names them\n",
               options.mutant);
  }
  return found;
}

int run_sim(const SimOptions& options) {
  const auto mutant = mutant_of(options);
  if (!mutant) return kUsage;
#ifdef LIGNUM_MUTANTS
  selected_mutant() = *mutant;
#endif
  if (options.seed) return run_one(*options.seed, options);
  std::vector<std::uint64_t> seeds;
  if (!options.corpus.empty()) {
    const auto corpus = read_corpus(options.corpus);
    if (!corpus) {
      fmt::print(stderr, "jepsen: '{}' lists no seeds, one a line, or cannot be read\n",
                 options.corpus);
      return kUsage;
    }
    seeds = *corpus;
  } else {
    seeds = parse_range(options.seeds);
    if (seeds.empty()) {
      fmt::print(stderr, "jepsen: '{}' are no seeds: write FIRST..LAST, at most {} of them\n",
                 options.seeds, kSeedsMax);
      return kUsage;
    }
  }
  if (options.mutants) return hunt_mutants(seeds, options.jobs, options.mutant_seconds);
  return run_many(seeds, {.jobs = options.jobs, .mutant = *mutant});
}

void add_scope(CLI::App& explore, Scope& scope) {
  explore.add_option("--replicas", scope.replicas)
      ->check(CLI::Range(1U, 5U))
      ->capture_default_str();
  const auto budget = [&](const char* name, std::uint32_t& count, const char* help) {
    explore.add_option(name, count, help)->check(CLI::Range(0U, 10U))->capture_default_str();
  };
  budget("--elections", scope.elections, "Campaigns that begin");
  budget("--appends", scope.appends, "Entries that leaders are given");
  budget("--crashes", scope.crashes, "Replicas that crash");
  budget("--drops", scope.drops, "Messages that are lost");
  budget("--duplicates", scope.duplicates, "Messages that come twice");
  explore.add_option("--states", scope.states_max, "Give up beyond so many states")
      ->capture_default_str();
}

// The exit code where the words end the program: they ask for help, or are wrong.
std::optional<int> parse(CLI::App& app, const std::vector<std::string>& words) {
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "jepsen: {}\n", cli::refuse_words(app, words, error.what()).message());
    return kUsage;
  }
  return std::nullopt;
}

}  // namespace

int run_jepsen(int argc, char** argv) {
  CLI::App app("Fault injection for Lignum", "jepsen");
  app.require_subcommand(1);
  SimOptions options;
  CLI::App* const sim = app.add_subcommand(
      "sim",
      "Runs whole clusters in virtual time, from seeds.\n"
      "Exit codes: 0 clean, 2 usage, 3 a promise was broken, 4 something did not come right after\n"
      "everything was healed, 5 the simulated program crashed, 7 the report could not be written.");
  CLI::Option* const seed = sim->add_option("--seed", options.seed, "Run this one");
  CLI::Option* const seeds =
      sim->add_option("--seeds", options.seeds, "Run FIRST..LAST, and print a summary");
  CLI::Option* const corpus =
      sim->add_option("--corpus", options.corpus, "Run the seeds listed in a file, one a line");
  seed->excludes(seeds)->excludes(corpus);
  seeds->excludes(corpus);
  sim->add_option("--jobs", options.jobs, "Processes side by side")
      ->check(CLI::Range(1U, kJobsMax))
      ->capture_default_str();
  sim->add_flag("--trace", options.trace, "Tell every event of the run")->needs(seed);
  sim->add_flag("--shrink", options.shrink, "Of a run that fails: find the least that fails")
      ->needs(seed);
  CLI::Option* const mutant = sim->add_option(
      "--mutant", options.mutant, "With this bug on purpose (raft/mutant_list.h; preset mutants)");
  sim->add_flag("--mutants", options.mutants,
                "Each of the bugs on purpose, until a seed of --seeds shows it")
      ->needs(seeds)
      ->excludes(mutant);
  sim->add_option("--mutant-seconds", options.mutant_seconds, "For each of them, at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  std::vector<std::string> history;
  CLI::App* const check = app.add_subcommand(
      "check",
      "Judges a history that was kept as text. Exit codes: 0 clean, 1 a promise was "
      "broken, 2 no history.");
  check->add_option("file", history, "The file; - for standard input")->required()->expected(1);
  Scope scope;
  CLI::App* const explore = app.add_subcommand(
      "explore",
      "Tries every order of events of a small cluster of consensus cores.\n"
      "Exit codes: 0 complete and clean, 2 usage, 3 a promise was broken, 4 too many states.");
  add_scope(*explore, scope);
  if (const auto ended = parse(app, {argv + 1, argv + argc})) return *ended;
  if (explore->parsed()) return explore_command(scope);
  if (check->parsed()) return check_command(history, std::cout, std::cerr);
  if (!options.seed && options.seeds.empty() && options.corpus.empty()) {
    fmt::print(stderr, "jepsen: give --seed, --seeds or --corpus; 'jepsen sim --help' says more\n");
    return kUsage;
  }
  return run_sim(options);
}

}  // namespace lignum::jepsen
