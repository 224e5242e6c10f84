#pragma once

// A disk in memory that behaves as badly as storage/file.h allows.
//
// A SimDisk is a tree of directories and files, each with two states: what a process sees now, and
// what would be there after a crash. Writes, size changes, creations, renames and removals are
// pending until the right sync; crash() makes the disk that a power cut would leave, from a seed
// and a choice of what survives. The original stays as it was, so one run yields many images.
//
//   SimDisk disk;
//   disk.crash_at(17);                          // the 17th mutating call and all later ones fail
//   run_workload(*disk.root());                 // the "process" dies in the middle
//   auto after = disk.crash(seed, {.data = Survival::kRandom, .names = Survival::kNone});
//   recover(*after->root());
//
// What a crash may do: keep any subset of the 512-byte sectors written since the file's last sync
// (also an older of several writes to a sector, also a later write without an earlier one), and any
// prefix of its explicit size changes; keep any subset of the creations, removals and renames since
// the directory's last sync, each whole or not at all; tear the last sector written inside.
// What it never does: touch synced bytes or names, or invent bytes that were never written.
// A failed sync leaves its bytes pending for ever: a later sync that succeeds does not save them.
//
// Deterministic: the same calls and seeds give the same bytes. Safe to call from any thread.
// Contents are shared copy-on-write, so clone() of a large disk is cheap.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "storage/file.h"

namespace lignum::jepsen {

inline constexpr std::size_t kSectorBytes = 512;
// A run beyond this many mutating calls is a mistake (CHECKed): every one is remembered.
inline constexpr std::size_t kDiskCallsMax = std::size_t{1} << 24;

// Calls that change the disk, and (last three) calls that do not. Only the former are numbered.
enum class DiskOp : std::uint8_t {
  kCreate,         // open() with kCreate
  kWrite,          // File::write_at
  kSync,           // File::sync
  kResize,         // File::resize
  kRename,         // Directory::rename
  kRemove,         // Directory::remove
  kSyncDirectory,  // Directory::sync
  kMakeDirectory,  // open_directory() of a new one; a kSyncDirectory follows
  kAnyChange,      // in a fault: any of the above
  kOpen,           // open() of an existing file
  kRead,           // File::read_at
  kLook,           // exists(), list(), size(), free_bytes(), check_place(), open_directory()
};

[[nodiscard]] std::string_view disk_op_name(DiskOp op);

// One numbered call, for messages and for choosing where to strike.
struct DiskCall {
  DiskOp op = DiskOp::kWrite;
  std::string path;            // from the root; for a rename "from -> to"
  std::uint64_t position = 0;  // of a write; the new size of a resize
  std::uint64_t bytes = 0;
  [[nodiscard]] std::string describe() const;
};

enum class Survival : std::uint8_t { kNone, kAll, kRandom };

// What a crash keeps of the things that were not synced.
struct CrashImage {
  Survival data = Survival::kRandom;   // sectors and sizes
  Survival names = Survival::kRandom;  // creations, renames, removals
  // Also tear the last sector written before the crash: a prefix of it new, the rest old.
  bool tear_last_sector = false;
};

enum class FaultSpan : std::uint8_t { kOnce, kUntilCleared };

// An error injected into a call.
struct DiskFault {
  DiskOp op = DiskOp::kAnyChange;
  // 1: the next matching call from now on.
  std::uint64_t nth = 1;
  Errc error = Errc::kIo;
  FaultSpan span = FaultSpan::kOnce;
  // Only calls on paths that contain this; empty: all.
  std::string path_part{};
};

struct SimDiskOptions {
  // Sum of file sizes the disk holds; writes beyond fail with kNoSpace after a part was written.
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40;
  // False: kWriteDirect yields buffered files.
  bool direct = true;
  // True: a disk that lies. Syncs report success and make nothing durable.
  bool lies = false;
  // False: calls are counted and not kept; calls() stays empty.
  bool keeps_calls = true;
};

class SimDisk {
 public:
  explicit SimDisk(const SimDiskOptions& options = {});
  ~SimDisk();
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // The root directory. Handles keep the disk's contents alive and may outlive the SimDisk.
  [[nodiscard]] std::unique_ptr<storage::Directory> root();

  // Mutating calls so far, failed ones included; the first has number 1.
  [[nodiscard]] std::uint64_t operations() const;
  // The calls themselves, in order: calls().at(n - 1) has number n; empty where none is kept.
  [[nodiscard]] std::vector<DiskCall> calls() const;

  // The process dies in call number `operation`: that call may still reach the disk as a pending
  // change (a sync does not), reports kIo, and so does every later call, reads included.
  void crash_at(std::uint64_t operation);
  [[nodiscard]] bool crashed() const;
  // After kill -9: the process is gone, the page cache is not. What was pending stays pending, a
  // later crash() may still lose it. Ends crash_at(), faults and locks; the caller has dropped all
  // handles of the dead process and starts again from root().
  void restart();
  // The disk after a power cut now (or at crash_at). No pending changes, faults or locks; capacity
  // and options as here; operations() starts at 0.
  [[nodiscard]] std::unique_ptr<SimDisk> crash(std::uint64_t seed, const CrashImage& image) const;
  // An independent copy as the process sees it now, everything durable: a clean shutdown.
  [[nodiscard]] std::unique_ptr<SimDisk> clone() const;

  // Failing writes leave a part of their bytes, failing syncs sync nothing for ever. Several faults
  // may wait; the first that matches strikes.
  void fail(const DiskFault& fault);
  void clear_faults();
  // Calls that were struck by a fault or the capacity.
  [[nodiscard]] std::uint64_t faults_struck() const;

  void set_capacity(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t used_bytes() const;

  // Damage, behind the back of any process: durable at once, not counted as operations. Paths are
  // from the root, "groups/1/segment-3". The file exists (CHECKed). Of a directory erase() takes
  // everything below as well.
  void flip(std::string_view path, std::uint64_t byte, std::uint8_t mask);
  void truncate(std::string_view path, std::uint64_t bytes);
  void erase(std::string_view path);
  // Replaces or makes a file; its directory exists (CHECKed).
  void put(std::string_view path, Bytes bytes);

  struct FileInfo {
    std::string path;
    std::uint64_t bytes = 0;
  };
  // Every file as the process sees it, by path.
  [[nodiscard]] std::vector<FileInfo> files() const;
  [[nodiscard]] std::vector<std::byte> contents(std::string_view path) const;

 private:
  class World;
  explicit SimDisk(std::shared_ptr<World> world);

  std::shared_ptr<World> world_;
};

}  // namespace lignum::jepsen
