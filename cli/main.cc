#include <malloc.h>

#include <string>
#include <vector>

#include "cli/program.h"

namespace {

// As in logd: what a tail buffers is freed and taken again all the time.
constexpr int kKeptHeapBytes = 8 << 20;

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, kKeptHeapBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  return lignum::cli::run_program(std::vector<std::string>(argv + 1, argv + argc));
}
