#include "server/process_facts.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace lignum::server {

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  if (!(statm >> total >> resident)) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::int64_t process_cpu_us() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  constexpr std::int64_t kSecond = 1'000'000;
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * kSecond + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

FileLimit raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  const std::uint64_t before = limit.rlim_cur;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    // Where that is refused what there was remains.
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return {.before = before, .now = before};
  }
  return {.before = before, .now = limit.rlim_cur};
}

}  // namespace lignum::server
