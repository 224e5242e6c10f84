#include "storage/posix_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"

namespace lignum::storage {

namespace {

constexpr mode_t kDirectoryMode = 0750;
constexpr mode_t kFileMode = 0640;
constexpr std::string_view kLockName = "LOCK";
// From this size on a file of kWriteSynced is written by way of the page cache.
constexpr std::size_t kCachedWriteBytes = std::size_t{48} << 10;

Errc code_of(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:  // NOLINT(misc-include-cleaner): <cerrno> has it, by way of the kernel's header.
      return Errc::kNoSpace;
    case ENOENT:
      return Errc::kNotFound;
    case EEXIST:
      return Errc::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::kPermissionDenied;
    case EMFILE:
    case ENFILE:
      return Errc::kTooManyFiles;
    case EOPNOTSUPP:  // NOLINT(misc-include-cleaner): as above.
      return Errc::kUnsupported;
    default:
      return Errc::kIo;
  }
}

// What the operator can do about EMFILE.
std::string too_many_files() {
  rlimit limit{};
  const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  return ": too many open files: " + (known ? std::to_string(limit.rlim_cur) : "so many") +
         " are allowed; raise LimitNOFILE= of the service, or 'ulimit -n'";
}

std::unexpected<Error> failed(int number, std::string_view call, const std::string& path) {
  if (number == EMFILE) {
    return fail(Errc::kTooManyFiles, path + too_many_files());
  }
  return fail(code_of(number), path + ": " + std::string(call) + ": " +
                                   std::generic_category().message(number) + " (errno " +
                                   std::to_string(number) + ")");
}

// Repeats a call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) {
    result = call();
  }
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

bool block_aligned(const std::byte* data, std::uint64_t position, std::size_t bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the address is the point.
  return (reinterpret_cast<std::uintptr_t>(data) | position | bytes) % kBlockBytes == 0;
}

class PosixFile final : public File {
 public:
  // `large_writes`: of a direct file, a second descriptor that is not; or none.
  PosixFile(Descriptor descriptor, Descriptor large_writes, std::string path, bool direct)
      : descriptor_(std::move(descriptor)),
        large_writes_(std::move(large_writes)),
        path_(std::move(path)),
        direct_(direct) {}

  Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> out) const override {
    if (!direct_ || block_aligned(out.data(), position, out.size())) {
      return read_all(position, out);
    }
    const std::uint64_t begin = position / kBlockBytes * kBlockBytes;
    const auto skipped = static_cast<std::size_t>(position - begin);
    AlignedBuffer bounce(skipped + out.size());
    TRY_ASSIGN(count, read_all(begin, bounce.span()));
    const std::size_t useful = std::min(out.size(), count - std::min(count, skipped));
    std::memcpy(out.data(), bounce.bytes().data() + skipped, useful);
    return useful;
  }

  Result<void> write_at(std::uint64_t position, Bytes data) override {
    CHECK(!direct_ || block_aligned(data.data(), position, data.size()));
    const bool large = large_writes_.get() >= 0 && data.size() >= kCachedWriteBytes;
    const int descriptor = large ? large_writes_.get() : descriptor_.get();
    while (!data.empty()) {
      const ssize_t count = uninterrupted([&] {
        return ::pwrite(descriptor, data.data(), data.size(), static_cast<off_t>(position));
      });
      if (count < 0) {
        return failed(errno, "write at byte " + std::to_string(position), path_);
      }
      if (count == 0) {
        return fail(Errc::kIo, path_ + ": a write made no progress");
      }
      position += static_cast<std::uint64_t>(count);
      data = data.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }

  Result<void> sync() override {
    if (uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) != 0) {
      return failed(errno, "fdatasync", path_);
    }
    struct stat status{};
    if (::fstat(descriptor_.get(), &status) != 0) {
      return failed(errno, "fstat", path_);
    }
    if (status.st_nlink == 0) {
      return fail(Errc::kIo, path_ + ": the file was removed while it was in use");
    }
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(descriptor_.get(), &status) != 0) {
      return failed(errno, "fstat", path_);
    }
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<void> resize(std::uint64_t bytes) override {
    TRY_ASSIGN(now, size());
    const auto length = static_cast<off_t>(bytes);
    if (bytes > now) {
      // Not posix_fallocate, which writes every block where the file system cannot allocate.
      if (uninterrupted([&] { return ::fallocate(descriptor_.get(), 0, 0, length); }) != 0) {
        return failed(errno, "fallocate", path_);
      }
    } else if (uninterrupted([&] { return ::ftruncate(descriptor_.get(), length); }) != 0) {
      return failed(errno, "ftruncate", path_);
    }
    return {};
  }

  [[nodiscard]] bool direct() const override { return direct_; }

 private:
  Result<std::size_t> read_all(std::uint64_t position, std::span<std::byte> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t count = uninterrupted([&] {
        return ::pread(descriptor_.get(), out.data() + done, out.size() - done,
                       static_cast<off_t>(position + done));
      });
      if (count < 0) {
        return failed(errno, "read at byte " + std::to_string(position + done), path_);
      }
      done += static_cast<std::size_t>(count);
      // A direct read that ends off a block boundary ended at the end of the file.
      if (count == 0 || (direct_ && done % kBlockBytes != 0)) {
        break;
      }
    }
    return done;
  }

  Descriptor descriptor_;
  // None: a number below 0. A sync through either covers both.
  Descriptor large_writes_;
  std::string path_;
  bool direct_;
};

// That what is open is what its path leads to.
Result<void> check_at_path(const Descriptor& open, const std::string& path) {
  struct stat ours{};
  struct stat there{};
  if (::fstat(open.get(), &ours) != 0) {
    return failed(errno, "fstat", path);
  }
  if (::stat(path.c_str(), &there) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      return failed(errno, "stat", path);
    }
    return fail(Errc::kNotFound, path + ": it was removed or moved away while in use");
  }
  if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino) {
    return fail(Errc::kNotFound, path + ": it was replaced by another one while in use");
  }
  return {};
}

class PosixLock final : public DirectoryLock {
 public:
  // flock is released with the descriptor.
  PosixLock(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  [[nodiscard]] Result<void> check() const override { return check_at_path(descriptor_, path_); }

 private:
  Descriptor descriptor_;
  std::string path_;
};

Result<void> check_name(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.contains('/') || name.contains('\0')) {
    return fail(Errc::kInvalidArgument, "not a file name: '" + std::string(name) + "'");
  }
  return {};
}

class PosixDirectory final : public Directory {
 public:
  PosixDirectory(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    TRY(check_name(name));
    switch (mode) {
      case OpenMode::kRead:
        return open_file(name, O_RDONLY);
      case OpenMode::kReadWrite:
        return open_file(name, O_RDWR);
      case OpenMode::kCreate:
        return open_file(name, O_RDWR | O_CREAT | O_EXCL);
      case OpenMode::kWriteDirect:
      case OpenMode::kWriteSynced:
        break;
    }
    auto file = open_direct(name, mode == OpenMode::kWriteSynced);
    if (!file && !exists(name).value_or(false)) {
      return file;
    }
    return file ? std::move(file) : open_file(name, O_RDWR);
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    TRY(check_name(from));
    TRY(check_name(to));
    if (::renameat(descriptor_.get(), std::string(from).c_str(), descriptor_.get(),
                   std::string(to).c_str()) != 0) {
      return failed(errno, "rename to " + std::string(to), path_of(from));
    }
    return {};
  }

  Result<void> remove(std::string_view name) override {
    TRY(check_name(name));
    const std::string text(name);
    if (::unlinkat(descriptor_.get(), text.c_str(), 0) != 0 &&
        (errno != EISDIR || ::unlinkat(descriptor_.get(), text.c_str(), AT_REMOVEDIR) != 0)) {
      return failed(errno, "unlink", path_of(name));
    }
    return {};
  }

  [[nodiscard]] Result<bool> exists(std::string_view name) const override {
    TRY(check_name(name));
    if (::faccessat(descriptor_.get(), std::string(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
      return true;
    }
    if (errno != ENOENT) {
      return failed(errno, "faccessat", path_of(name));
    }
    return false;
  }

  [[nodiscard]] Result<std::vector<std::string>> list() const override {
    // A descriptor of its own: reading moves the position, and any thread may list.
    const int copy = ::openat(descriptor_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                     ::closedir);
    if (!stream) {
      return failed(errno, "open", path_);
    }
    std::vector<std::string> names;
    errno = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is local.
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string_view name = &entry->d_name[0];
      if (name != "." && name != "..") {
        names.emplace_back(name);
      }
    }
    if (errno != 0) {
      return failed(errno, "readdir", path_);
    }
    std::ranges::sort(names);
    return names;
  }

  Result<std::unique_ptr<Directory>> open_directory(std::string_view name) override {
    TRY(check_name(name));
    const std::string text(name);
    if (::mkdirat(descriptor_.get(), text.c_str(), kDirectoryMode) == 0) {
      TRY(sync());
    } else if (errno != EEXIST) {
      return failed(errno, "mkdir", path_of(name));
    }
    Descriptor made(::openat(descriptor_.get(), text.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (made.get() < 0) {
      return failed(errno, "open", path_of(name));
    }
    return std::make_unique<PosixDirectory>(std::move(made), path_of(name));
  }

  Result<std::unique_ptr<DirectoryLock>> lock() override {
    Descriptor file(::openat(descriptor_.get(), std::string(kLockName).c_str(),
                             O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
    if (file.get() < 0) {
      return failed(errno, "open", path_of(kLockName));
    }
    if (uninterrupted([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) {
        return fail(Errc::kLocked, path_ + ": another process uses this directory");
      }
      return failed(errno, "flock", path_of(kLockName));
    }
    return std::make_unique<PosixLock>(std::move(file), path_of(kLockName));
  }

  [[nodiscard]] Result<std::uint64_t> free_bytes() const override {
    struct statvfs status{};
    if (uninterrupted([&] { return ::fstatvfs(descriptor_.get(), &status); }) != 0) {
      return failed(errno, "statvfs", path_);
    }
    return std::uint64_t{status.f_bavail} * status.f_frsize;
  }

  [[nodiscard]] Result<void> check_place() const override {
    return check_at_path(descriptor_, path_);
  }

  [[nodiscard]] std::string path() const override { return path_; }

 private:
  Result<void> sync_names() override {
    if (uninterrupted([&] { return ::fsync(descriptor_.get()); }) != 0) {
      return failed(errno, "fsync", path_);
    }
    return {};
  }

  [[nodiscard]] std::string path_of(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

  [[nodiscard]] Result<Descriptor> open_descriptor(std::string_view name, int flags) const {
    Descriptor file(uninterrupted([&] {
      return ::openat(descriptor_.get(), std::string(name).c_str(), flags | O_CLOEXEC | O_NOFOLLOW,
                      kFileMode);
    }));
    if (file.get() < 0) {
      return failed(errno, "open", path_of(name));
    }
    return file;
  }

  [[nodiscard]] Result<std::unique_ptr<File>> open_file(std::string_view name, int flags) const {
    TRY_ASSIGN(file, open_descriptor(name, flags));
    return std::make_unique<PosixFile>(std::move(file), Descriptor(-1), path_of(name), false);
  }

  [[nodiscard]] Result<std::unique_ptr<File>> open_direct(std::string_view name,
                                                          bool cached) const {
    TRY_ASSIGN(file, open_descriptor(name, O_RDWR | O_DIRECT));
    if (!cached) {
      return std::make_unique<PosixFile>(std::move(file), Descriptor(-1), path_of(name), true);
    }
    TRY_ASSIGN(large_writes, open_descriptor(name, O_RDWR));
    return std::make_unique<PosixFile>(std::move(file), std::move(large_writes), path_of(name),
                                       true);
  }

  Descriptor descriptor_;
  std::string path_;
};

Result<std::unique_ptr<Directory>> open_existing(const std::string& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0) {
    if (errno == ENOTDIR) {
      return fail(Errc::kInvalidArgument,
                  path + ": a file is in the way, there or above; a directory is needed");
    }
    return failed(errno, "open", path);
  }
  return std::make_unique<PosixDirectory>(std::move(descriptor), path);
}

}  // namespace

Result<std::unique_ptr<Directory>> open_posix_directory(const std::string& path) {
  if (path.empty() || path.contains('\0')) {
    return fail(Errc::kInvalidArgument, "a directory needs a path");
  }
  if (auto found = open_existing(path); found || found.error().code() != Errc::kNotFound) {
    return found;
  }
  TRY_ASSIGN(directory, open_existing(path.front() == '/' ? "/" : "."));
  std::string_view rest = path;
  std::string done = path.front() == '/' ? "/" : "";
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.empty() || part == ".") {
      continue;
    }
    done += std::string(part);
    if (part == "..") {
      TRY_ASSIGN(above, open_existing(done));
      directory = std::move(above);
    } else {
      TRY_ASSIGN(below, directory->open_directory(part));
      directory = std::move(below);
    }
    done += "/";
  }
  // Opened anew under its whole name, so that messages say what the operator wrote.
  return open_existing(path);
}

}  // namespace lignum::storage
