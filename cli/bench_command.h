#pragma once

// The words of `logctl bench ...`: their declaration, help and meaning.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/options.h"
#include "raft/error.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 is called so
class App;
}

namespace lignum::cli {

// Holds what the words said from declare() until verb(); one command line.
class BenchCommand {
 public:
  BenchCommand();
  ~BenchCommand();
  BenchCommand(const BenchCommand&) = delete;
  BenchCommand& operator=(const BenchCommand&) = delete;

  // Adds `bench` and its verbs. This must live until the parsing is done.
  void declare(CLI::App& app);
  // What was asked for, once `bench` was parsed as the chosen verb. kInvalidArgument names the
  // flag that is wrong.
  [[nodiscard]] Result<Verb> verb(const CLI::App& bench) const;

 private:
  struct Words;
  std::unique_ptr<Words> words_;
};

}  // namespace lignum::cli
