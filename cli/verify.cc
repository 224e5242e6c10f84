#include "cli/verify.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/statvfs.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/quantity_text.h"
#include "cli/terminal.h"
#include "raft/error.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/leveldb_check.h"
#include "storage/posix_file.h"
#include "storage/scrub.h"
#include "storage/scrub_report.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;
using storage::ByteRange;
using storage::ByteUse;
using storage::Finding;
using storage::FindingKind;
using storage::ScrubTotals;

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

double unread_percent(const ScrubTotals& totals) {
  const std::uint64_t rest = totals.bytes - totals.bytes_of(ByteUse::kZeroTail);
  return rest == 0 ? 0.0
                   : 100.0 * static_cast<double>(totals.unread_bytes()) / static_cast<double>(rest);
}

// Prints what is found as it is found.
class Printer final : public storage::ScrubVisitor {
 public:
  Printer(Terminal& terminal, const VerifyOptions& options)
      : terminal_(terminal), options_(options) {}

  void on_file(const std::string& path, const std::vector<ByteRange>& map) override {
    if (!options_.map) {
      terminal_.progress(path);
    } else if (options_.format == ListFormat::kJson) {
      json_map(path, map);
    } else {
      text_map(path, map);
    }
  }

  void on_finding(const Finding& finding) override {
    if (options_.format == ListFormat::kJson) {
      json::object out;
      out["finding"] = storage::finding_kind_name(finding.kind);
      out["path"] = finding.path;
      out["byte"] = finding.byte;
      out["bytes"] = finding.bytes;
      out["what"] = finding.what;
      out["meaning"] = finding.meaning;
      terminal_.data(json::serialize(out) + "\n");
      return;
    }
    // Of other kinds the file as a whole is meant.
    const bool placed = finding.kind == FindingKind::kDamage || finding.kind == FindingKind::kTorn;
    std::string place;
    if (placed && finding.byte + finding.bytes != 0) {
      place = fmt::format(" byte {}", finding.byte);
      if (finding.bytes != 0) place += fmt::format(" ({} bytes)", finding.bytes);
    }
    terminal_.data(fmt::format("{:9} {}{}: {}\n{:10}{}\n", storage::finding_kind_name(finding.kind),
                               visible(finding.path), place, visible(finding.what), "",
                               visible(finding.meaning)));
  }

  void tell(const ScrubTotals& totals) {
    if (options_.format == ListFormat::kJson) {
      json_totals(totals);
      return;
    }
    if (options_.map) {
      terminal_.data(fmt::format("unused: {} bytes, {:.2f} % of all but the zero tails ({})\n",
                                 totals.unread_bytes(), unread_percent(totals),
                                 human_bytes(totals.bytes_of(ByteUse::kZeroTail))));
    }
    terminal_.status(fmt::format("{}: {}", options_.directory, verdict(totals)));
    terminal_.status(fmt::format(
        "read {} in {}: {}, {}, {} with {}, {}", human_bytes(totals.bytes),
        counted(totals.files, "file", "files"), counted(totals.groups, "group", "groups"),
        counted(totals.segments, "segment", "segments"),
        counted(totals.entries, "entry", "entries"), counted(totals.records, "record", "records"),
        counted(totals.images, "image", "images")));
  }

 private:
  static std::string verdict(const ScrubTotals& totals) {
    const std::uint64_t damage = totals.count(FindingKind::kDamage);
    if (damage != 0) return "DAMAGED, in " + counted(damage, "place", "places");
    std::string text = "whole";
    if (totals.count(FindingKind::kTorn) != 0) {
      text += ", but for what a crash cut short; the next start of logd cuts it off";
    }
    if (totals.count(FindingKind::kUnchecked) != 0) text += ", as far as it could be checked";
    return text;
  }

  void text_map(const std::string& path, const std::vector<ByteRange>& map) {
    terminal_.data(fmt::format("{} ({} bytes)\n", visible(path), map.empty() ? 0 : map.back().end));
    for (const ByteRange& range : map) {
      terminal_.data(fmt::format("{:>12} - {:<12} {}\n", range.begin, range.end - 1,
                                 storage::byte_use_name(range.use)));
    }
  }

  void json_map(const std::string& path, const std::vector<ByteRange>& map) {
    json::array ranges;
    for (const ByteRange& range : map) {
      ranges.push_back(json::object{{"byte", range.begin},
                                    {"bytes", range.end - range.begin},
                                    {"use", storage::byte_use_name(range.use)}});
    }
    json::object out;
    out["path"] = path;
    out["bytes"] = map.empty() ? 0 : map.back().end;
    out["map"] = std::move(ranges);
    terminal_.data(json::serialize(out) + "\n");
  }

  void json_totals(const ScrubTotals& totals) {
    json::object findings;
    for (const FindingKind kind : {FindingKind::kDamage, FindingKind::kTorn, FindingKind::kLeftover,
                                   FindingKind::kUnchecked}) {
      findings[storage::finding_kind_name(kind)] = totals.count(kind);
    }
    json::object out;
    out["directory"] = options_.directory;
    out["whole"] = totals.count(FindingKind::kDamage) == 0;
    out["findings"] = std::move(findings);
    out["files"] = totals.files;
    out["bytes"] = totals.bytes;
    out["groups"] = totals.groups;
    out["segments"] = totals.segments;
    out["entries"] = totals.entries;
    out["records"] = totals.records;
    out["images"] = totals.images;
    out["zero_tail_bytes"] = totals.bytes_of(ByteUse::kZeroTail);
    out["unused_bytes"] = totals.unread_bytes();
    out["unused_percent"] = unread_percent(totals);
    terminal_.data(json::serialize(out) + "\n");
  }

  Terminal& terminal_;
  const VerifyOptions& options_;
};

// False where no logd can have it open: it makes the lock's file before anything else, and writes
// nothing to a file system that is read-only.
bool may_be_in_use(const std::filesystem::path& directory) {
  struct statvfs status{};
  const bool read_only =
      ::statvfs(directory.c_str(), &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
  return !read_only && std::filesystem::exists(directory / storage::kLockFileName);
}

}  // namespace

Result<ExitCode> run_verify(Terminal& terminal, const VerifyOptions& options) {
  // Nothing is under way that an interruption could hurt.
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  std::error_code error;
  // Opening it would make it.
  if (!std::filesystem::is_directory(options.directory, error)) {
    return fail(Errc::kNotFound, options.directory + ": there is no such directory");
  }
  TRY_ASSIGN(root, storage::open_posix_directory(options.directory));
  Printer printer(terminal, options);
  const storage::ScrubOptions scrub{
      .take_lock = may_be_in_use(options.directory),
      .check_database = [](storage::Directory& state) { return storage::check_leveldb(state); }};
  const auto totals = storage::scrub_directory(*root, scrub, printer);
  if (!totals && totals.error().code() == Errc::kLocked) {
    return fail(Errc::kUnavailable,
                options.directory + ": a logd is running on it; stop it first, or verify a copy");
  }
  TRY(totals);
  printer.tell(*totals);
  return totals->count(FindingKind::kDamage) == 0 ? ExitCode::kOk : ExitCode::kLocal;
}

}  // namespace lignum::cli
