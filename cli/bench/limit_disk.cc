#include "cli/bench/limit_disk.h"

#include <fmt/format.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cli/bench/workload.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"

namespace lignum::cli {

namespace {

// The largest flush: what a window of batches holds, and then some.
constexpr std::size_t kFlushBytesMax = std::size_t{8} << 20;
constexpr std::size_t kFillBytes = std::size_t{1} << 20;

std::string file_name(std::size_t file) { return fmt::format("limit-{}", file); }
std::string growing_name(std::size_t file) { return fmt::format("growing-{}", file); }

Result<std::unique_ptr<storage::File>> open_file(storage::Directory& directory, std::size_t file,
                                                 LimitMode mode) {
  switch (mode) {
    case LimitMode::kDirect:
      return directory.open(file_name(file), storage::OpenMode::kWriteDirect);
    case LimitMode::kBuffered:
      return directory.open(file_name(file), storage::OpenMode::kReadWrite);
    case LimitMode::kGrowing: {
      const std::string name = growing_name(file);
      TRY_ASSIGN(exists, directory.exists(name));
      if (exists) TRY(directory.remove(name));
      TRY_ASSIGN(opened, directory.open(name, storage::OpenMode::kCreate));
      TRY(directory.sync());
      return opened;
    }
  }
  return fail(Errc::kInternal, "no such mode of the limit");
}

Result<double> flushes_per_second(storage::Directory& directory, LimitMode mode,
                                  std::size_t flush_bytes) {
  constexpr std::chrono::milliseconds kTrial{250};
  TRY_ASSIGN(file, open_file(directory, 0, mode));
  storage::AlignedBuffer buffer(flush_bytes);
  std::size_t position = 0;
  std::size_t flushes = 0;
  const auto start = BenchClock::now();
  while (BenchClock::now() - start < kTrial) {
    if (position + buffer.size() > LimitDisk::kFileBytes) position = 0;
    TRY(file->write_at(position, buffer.bytes()));
    TRY(file->sync());
    position += buffer.size();
    ++flushes;
  }
  return static_cast<double>(flushes) /
         std::chrono::duration<double>(BenchClock::now() - start).count();
}

}  // namespace

std::string_view limit_mode_name(LimitMode mode) {
  switch (mode) {
    case LimitMode::kDirect:
      return "O_DIRECT, pre-written";
    case LimitMode::kBuffered:
      return "buffered, pre-written";
    case LimitMode::kGrowing:
      return "growing files";
  }
  return "";
}

struct LimitDisk::Lane {
  std::unique_ptr<storage::File> file;
  // Both by the one worker that flushes this lane.
  storage::AlignedBuffer buffer;
  std::uint64_t position = 0;
  // These under the disk's lock.
  std::vector<Write> waiting;
  bool flushing = false;
};

Result<void> LimitDisk::prepare(storage::Directory& directory, std::size_t files) {
  CHECK(files <= kFilesMax);
  const storage::AlignedBuffer zeros(kFillBytes);
  for (std::size_t file = 0; file < files; ++file) {
    TRY_ASSIGN(exists, directory.exists(file_name(file)));
    if (exists) continue;
    TRY_ASSIGN(opened, directory.open(file_name(file), storage::OpenMode::kCreate));
    for (std::size_t at = 0; at < kFileBytes; at += kFillBytes) {
      TRY(opened->write_at(at, zeros.bytes()));
    }
    TRY(opened->sync());
  }
  return directory.sync();
}

Result<LimitMode> LimitDisk::better_mode(storage::Directory& directory, std::size_t flush_bytes) {
  const std::size_t bytes = std::clamp(flush_bytes, storage::kBlockBytes, kFlushBytesMax);
  TRY(prepare(directory, 1));
  TRY_ASSIGN(direct, flushes_per_second(directory, LimitMode::kDirect, bytes));
  TRY_ASSIGN(buffered, flushes_per_second(directory, LimitMode::kBuffered, bytes));
  return direct >= buffered ? LimitMode::kDirect : LimitMode::kBuffered;
}

Result<std::unique_ptr<LimitDisk>> LimitDisk::open(storage::Directory& directory, Options options) {
  CHECK(options.files > 0 && options.files <= kFilesMax);
  if (options.mode != LimitMode::kGrowing) TRY(prepare(directory, options.files));
  std::vector<std::unique_ptr<storage::File>> files;
  for (std::size_t file = 0; file < options.files; ++file) {
    TRY_ASSIGN(opened, open_file(directory, file, options.mode));
    files.push_back(std::move(opened));
  }
  return std::unique_ptr<LimitDisk>(new LimitDisk(std::move(options), std::move(files)));
}

Result<void> LimitDisk::remove(storage::Directory& directory) {
  for (std::size_t file = 0; file < kFilesMax; ++file) {
    for (const std::string& name : {file_name(file), growing_name(file)}) {
      TRY_ASSIGN(exists, directory.exists(name));
      if (exists) TRY(directory.remove(name));
    }
  }
  return {};
}

LimitDisk::LimitDisk(Options options, std::vector<std::unique_ptr<storage::File>> files)
    : options_(std::move(options)) {
  for (auto& file : files) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->file = std::move(file);
  }
  const std::size_t workers = std::min(lanes_.size(), kWorkersMax);
  for (std::size_t worker = 0; worker < workers; ++worker) {
    workers_.emplace_back([this] { run_worker(); });
  }
}

LimitDisk::~LimitDisk() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    ready_changed_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

void LimitDisk::write(std::size_t file, Payload bytes, std::uint64_t ticket) {
  CHECK(file < lanes_.size());
  Lane& lane = *lanes_[file];
  const MutexLock lock(mutex_);
  lane.waiting.push_back({.bytes = std::move(bytes), .ticket = ticket});
  if (lane.flushing || lane.waiting.size() > 1) return;
  ready_.push_back(&lane);
  ready_changed_.notify_one();
}

Result<std::vector<std::uint64_t>> LimitDisk::take_completed() {
  const MutexLock lock(mutex_);
  if (failure_) return std::unexpected(*failure_);
  return std::exchange(completed_, {});
}

void LimitDisk::run_worker() {
  mutex_.lock();
  while (true) {
    while (ready_.empty() && !stopping_) ready_changed_.wait(mutex_);
    if (stopping_) break;
    Lane& lane = *ready_.front();
    ready_.pop_front();
    const std::vector<Write> writes = std::exchange(lane.waiting, {});
    lane.flushing = true;
    mutex_.unlock();
    const Result<void> flushed = flush(lane, writes);
    mutex_.lock();
    lane.flushing = false;
    if (!flushed && !failure_) failure_ = flushed.error();
    for (const Write& write : writes) completed_.push_back(write.ticket);
    if (!lane.waiting.empty()) ready_.push_back(&lane);
    mutex_.unlock();
    options_.wake();
    mutex_.lock();
  }
  mutex_.unlock();
}

Result<void> LimitDisk::flush(Lane& lane, const std::vector<Write>& writes) {
  std::size_t bytes = 0;
  for (const Write& write : writes) bytes += write.bytes.size();
  if (storage::round_up_to_block(bytes) > lane.buffer.size()) {
    lane.buffer = storage::AlignedBuffer(std::max(bytes * 2, kFillBytes));
  }
  std::size_t filled = 0;
  for (const Write& write : writes) {
    const Bytes from = write.bytes.bytes();
    std::memcpy(lane.buffer.span().data() + filled, from.data(), from.size());
    filled += from.size();
  }
  const std::size_t padded = storage::round_up_to_block(filled);
  if (options_.mode != LimitMode::kGrowing && lane.position + padded > kFileBytes) {
    lane.position = 0;
  }
  TRY(lane.file->write_at(lane.position, lane.buffer.bytes().first(padded)));
  TRY(lane.file->sync());
  lane.position += padded;
  return {};
}

double LimitDisk::cpu_seconds() const {
  double seconds = 0;
  for (const std::thread& worker : workers_) {
    seconds += thread_cpu_seconds(const_cast<std::thread&>(worker));
  }
  return seconds;
}

double thread_cpu_seconds(std::thread& thread) {
  constexpr double kNanosPerSecond = 1e9;
  clockid_t clock{};
  timespec time{};
  if (::pthread_getcpuclockid(thread.native_handle(), &clock) != 0) return 0;
  if (::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / kNanosPerSecond;
}

}  // namespace lignum::cli
