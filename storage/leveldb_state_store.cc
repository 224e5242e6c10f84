#include "storage/leveldb_state_store.h"

#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/iterator.h>
#include <leveldb/options.h>
#include <leveldb/slice.h>
#include <leveldb/status.h>
#include <leveldb/write_batch.h>
#define XXH_STATIC_LINKING_ONLY  // gives the streaming state its size
#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "storage/byte_order.h"
#include "storage/state_store.h"

namespace lignum::storage {

namespace {

// Sorts behind every key of a group.
constexpr std::string_view kDigestKey =
    "\xff\xff"
    "digest";
constexpr std::size_t kDigestBytes = 24;

leveldb::Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view_of(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

leveldb::ReadOptions verified_reads() {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return options;
}

leveldb::WriteOptions durable_writes() {
  leveldb::WriteOptions options;
  options.sync = true;
  return options;
}

Error error_of(const leveldb::Status& status, const std::string& path) {
  const std::string text = status.ToString();
  const std::string_view view = text;
  if (status.IsIOError() && view.contains("Too many open files")) {
    return Error(Errc::kTooManyFiles,
                 path + ": " + text + "; raise LimitNOFILE= of the service, or 'ulimit -n'");
  }
  if (status.IsIOError() && view.contains("lock ")) {
    return Error(Errc::kLocked, path + ": another process has the state database open");
  }
  if (status.IsIOError() && view.contains("No space left")) {
    return Error(Errc::kNoSpace, path + ": " + text);
  }
  // A file that the database believes in and that is not there, or is empty (it cannot be mapped),
  // is damage, not a failing disk. LevelDB keeps no errno.
  if (status.IsIOError() && !view.contains("No such file") && !view.contains("Invalid argument")) {
    return Error(Errc::kIo, path + ": " + text);
  }
  return Error(Errc::kCorrupt, path + ": " + text);
}

// Sum over the hashes of all pairs: it can be kept up to date pair by pair, in any order.
void count_pair(StateDigest& digest, std::string_view key, std::string_view value, bool present) {
  std::array<std::byte, 8> length{};
  store_le<std::uint64_t>(length, 0, key.size());
  XXH3_state_t state;
  CHECK(XXH3_128bits_reset(&state) == XXH_OK);
  CHECK(XXH3_128bits_update(&state, length.data(), length.size()) == XXH_OK);
  CHECK(XXH3_128bits_update(&state, key.data(), key.size()) == XXH_OK);
  CHECK(XXH3_128bits_update(&state, value.data(), value.size()) == XXH_OK);
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  digest.pairs += present ? 1 : std::uint64_t{0} - 1;
  digest.low += present ? hash.low64 : std::uint64_t{0} - hash.low64;
  digest.high += present ? hash.high64 : std::uint64_t{0} - hash.high64;
}

std::string encode(const StateDigest& digest) {
  std::string text(kDigestBytes, '\0');
  const auto bytes = std::as_writable_bytes(std::span(text));
  store_le<std::uint64_t>(bytes, 0, digest.pairs);
  store_le<std::uint64_t>(bytes, 8, digest.low);
  store_le<std::uint64_t>(bytes, 16, digest.high);
  return text;
}

}  // namespace

LevelDbStateStore::LevelDbStateStore(std::unique_ptr<leveldb::DB> database, std::string path)
    : database_(std::move(database)), path_(std::move(path)) {}

LevelDbStateStore::~LevelDbStateStore() = default;

Result<std::unique_ptr<LevelDbStateStore>> LevelDbStateStore::open(const std::string& path) {
  return open(path, *leveldb::Env::Default());
}

Result<std::unique_ptr<LevelDbStateStore>> LevelDbStateStore::open(const std::string& path,
                                                                   leveldb::Env& environment) {
  leveldb::Options options;
  options.env = &environment;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  leveldb::DB* raw = nullptr;
  const leveldb::Status status = leveldb::DB::Open(options, path, &raw);
  if (!status.ok()) {
    return std::unexpected(error_of(status, path));
  }
  std::unique_ptr<LevelDbStateStore> store(
      new LevelDbStateStore(std::unique_ptr<leveldb::DB>(raw), path));
  TRY(store->verify());
  return store;
}

Result<void> LevelDbStateStore::destroy(const std::string& path) {
  const leveldb::Status status = leveldb::DestroyDB(path, leveldb::Options());
  if (!status.ok()) {
    return fail(Errc::kIo, path + ": " + status.ToString());
  }
  return {};
}

Result<void> LevelDbStateStore::verify() {
  TRY(scan("", [this](std::string_view key, std::string_view value) -> Result<void> {
    count_pair(digest_, key, value, true);
    return {};
  }));
  std::string stored;
  const leveldb::Status status = database_->Get(verified_reads(), slice_of(kDigestKey), &stored);
  if (!status.ok() && !status.IsNotFound()) {
    return std::unexpected(error_of(status, path_));
  }
  if (status.ok() ? stored != encode(digest_) : digest_.pairs != 0) {
    return fail(Errc::kCorrupt, path_ +
                                    ": the pairs of the state database are not those that "
                                    "were written");
  }
  return {};
}

Result<void> LevelDbStateStore::write(const std::vector<StateWrite>& batch) {
  // Only the last change of a key counts.
  std::map<std::string_view, const std::optional<std::string>*> changes;
  for (const StateWrite& change : batch) {
    CHECK(change.key < kDigestKey);
    changes[change.key] = &change.value;
  }
  StateDigest digest = digest_;
  leveldb::WriteBatch writes;
  std::string old;
  for (const auto& [key, value] : changes) {
    const leveldb::Status found = database_->Get(verified_reads(), slice_of(key), &old);
    if (!found.ok() && !found.IsNotFound()) {
      return std::unexpected(error_of(found, path_));
    }
    if (found.ok()) {
      count_pair(digest, key, old, false);
    }
    if (*value) {
      count_pair(digest, key, **value, true);
      writes.Put(slice_of(key), **value);
    } else {
      writes.Delete(slice_of(key));
    }
  }
  writes.Put(slice_of(kDigestKey), encode(digest));
  const leveldb::Status status = database_->Write(durable_writes(), &writes);
  if (!status.ok()) {
    return std::unexpected(error_of(status, path_));
  }
  digest_ = digest;
  return {};
}

Result<void> LevelDbStateStore::scan(
    std::string_view prefix,
    const std::function<Result<void>(std::string_view key, std::string_view value)>& visit) {
  const std::unique_ptr<leveldb::Iterator> pair(database_->NewIterator(verified_reads()));
  for (pair->Seek(slice_of(prefix)); pair->Valid(); pair->Next()) {
    const std::string_view key = view_of(pair->key());
    if (!key.starts_with(prefix) || key == kDigestKey) {
      break;
    }
    TRY(visit(key, view_of(pair->value())));
  }
  if (!pair->status().ok()) {
    return std::unexpected(error_of(pair->status(), path_));
  }
  return {};
}

Result<void> LevelDbStateStore::drop(std::string_view prefix) {
  std::vector<StateWrite> deletions;
  TRY(scan(prefix, [&](std::string_view key, std::string_view) -> Result<void> {
    deletions.push_back({.key = std::string(key), .value = std::nullopt});
    return {};
  }));
  return write(deletions);
}

}  // namespace lignum::storage
