#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "jepsen/sim_command.h"

namespace {

constexpr int kCannotReport = 7;

}  // namespace

int main(int argc, char** argv) {
  const int verdict = lignum::jepsen::run_jepsen(argc, argv);
  // A verdict whose report nobody has is none: a full disk must not look like a clean run.
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return verdict;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  std::fprintf(stderr, "jepsen: cannot write to standard output: %s\n", std::strerror(errno));
  return kCannotReport;
}
