#include "jepsen/check/history_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/check/history_words.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

constexpr std::string_view kFirstLine = "lignum-history 1";

// ---------------------------------------------------------------- writing

// One line: words with blanks between.
class Line {
 public:
  Line(std::ostream& out, std::string_view kind, const ShardKey& shard) : out_(out), text_(kind) {
    word(std::to_string(shard.stream.value()) + "/" + std::to_string(shard.shard.value()));
  }
  ~Line() { out_ << text_ << '\n'; }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  Line& word(std::string_view word) {
    text_ += ' ';
    text_ += word;
    return *this;
  }
  Line& number(std::uint64_t number) { return word(std::to_string(number)); }
  Line& offset(std::optional<Offset> offset) {
    return offset ? number(offset->value()) : word("-");
  }
  Line& moment(Moment moment) {
    if (moment == kNever) return word("never");
    return moment == kAlways ? word("always") : word(std::to_string(moment));
  }
  Line& hash(const Hash128& hash) { return word(hex(hash.high) + hex(hash.low)); }
  Line& value(Value value) {
    if (value == Value::unreadable()) return word("?");
    return word(std::to_string(value.client()) + "." + std::to_string(value.sequence()));
  }
  Line& values(std::span<const Value> values) {
    for (std::size_t at = 0; at < values.size();) {
      std::size_t run = 1;
      while (at + run < values.size() && values[at] != Value::unreadable() &&
             run <= kAppendRecordsMax && values[at + run] == values[at].plus(run)) {
        ++run;
      }
      value(values[at]);
      if (run > 1) text_ += "+" + std::to_string(run - 1);
      at += run;
    }
    CHECK(text_.size() <= kHistoryLineBytesMax);
    return *this;
  }

 private:
  static std::string hex(std::uint64_t number) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t i = text.size(); i-- > 0; number >>= 4) text[i] = kDigits[number & 15];
    return text;
  }

  std::ostream& out_;
  std::string text_;
};

void write_shard(std::ostream& out, const ShardKey& key, const ShardHistory& history) {
  for (const Append& append : history.appends()) {
    Line(out, "append", key)
        .value(append.value)
        .number(append.count)
        .moment(append.invoked)
        .moment(append.returned)
        .word(kOutcomeWords.at(std::to_underlying(append.outcome)))
        .offset(append.offset)
        .offset(append.expected)
        .word(kPromiseWords.at(std::to_underlying(append.promise)));
  }
  for (const auto& read : history.reads()) {
    Line(out, "read", key)
        .number(read.client)
        .moment(read.invoked)
        .moment(read.returned)
        .offset(read.from)
        .offset(read.end)
        .values(history.values(read));
  }
  for (const Trimmed& read : history.trimmed()) {
    Line(out, "trimmed", key)
        .number(read.client)
        .moment(read.invoked)
        .moment(read.returned)
        .offset(read.from)
        .offset(read.first_kept);
  }
  for (const auto& tail : history.tails()) {
    Line line(out, "tail", key);
    line.number(tail.client).moment(tail.at).word(kTailWords.at(std::to_underlying(tail.event)));
    line.offset(tail.from).values(history.values(tail));
    if (tail.event == TailEvent::kGap) line.offset(tail.to);
  }
  for (const Trim& trim : history.trims()) {
    Line(out, "trim", key).moment(trim.at).offset(trim.start);
  }
  for (const Watermark& mark : history.watermarks()) {
    Line(out, "watermark", key).number(mark.replica).moment(mark.at).offset(mark.end);
  }
  for (const Chain& chain : history.chains()) {
    Line(out, "chain", key).number(chain.who).offset(chain.end).hash(chain.hash);
  }
  for (const auto& log : history.logs()) {
    std::span<const Value> left = history.values(log);
    Offset start = log.start;
    do {
      const std::size_t count = std::min(left.size(), kHistoryLogLineRecordsMax);
      Line(out, "log", key).number(log.replica).offset(start).values(left.first(count));
      left = left.subspan(count);
      start = start + count;
    } while (!left.empty());
  }
}

// ---------------------------------------------------------------- reading

// Each reads the words behind the shard and adds what they say, unless they are spoiled.

void read_append(HistoryWords& words, ShardHistory& history) {
  Append append;
  append.value = words.value();
  append.count = static_cast<std::uint32_t>(words.number(kAppendRecordsMax));
  append.invoked = words.moment();
  append.returned = words.moment();
  append.outcome = static_cast<Outcome>(words.one_of(kOutcomeWords, "an outcome"));
  append.offset = words.offset_or_none();
  append.expected = words.offset_or_none();
  append.promise = static_cast<Promise>(words.one_of(kPromiseWords, "a promise"));
  words.end();
  if (words.ok() && append.count > 0 &&
      append.value.sequence() + append.count < Value::kSequenceMax) {
    history.add(append);
  } else {
    words.refuse("the append has no records, or too many");
  }
}

void read_read(HistoryWords& words, ShardHistory& history) {
  Read read;
  read.client = words.client();
  read.invoked = words.moment();
  read.returned = words.moment();
  read.from = words.offset();
  read.end = words.offset_or_none();
  const std::vector<Value> values = words.values();
  if (words.ok()) history.add(read, values);
}

void read_trimmed(HistoryWords& words, ShardHistory& history) {
  Trimmed read;
  read.client = words.client();
  read.invoked = words.moment();
  read.returned = words.moment();
  read.from = words.offset();
  read.first_kept = words.offset();
  words.end();
  if (words.ok()) history.add(read);
}

void read_tail(HistoryWords& words, ShardHistory& history) {
  Tail tail;
  tail.client = words.client();
  tail.at = words.moment();
  tail.event = static_cast<TailEvent>(words.one_of(kTailWords, "an event"));
  tail.from = words.offset();
  if (tail.event == TailEvent::kGap) tail.to = words.offset();
  const std::vector<Value> values =
      tail.event == TailEvent::kRecords ? words.values() : std::vector<Value>();
  words.end();
  if (words.ok()) history.add(tail, values);
}

void read_trim(HistoryWords& words, ShardHistory& history) {
  Trim trim;
  trim.at = words.moment();
  trim.start = words.offset();
  words.end();
  if (words.ok()) history.add(trim);
}

void read_watermark(HistoryWords& words, ShardHistory& history) {
  Watermark mark;
  mark.replica = words.client();
  mark.at = words.moment();
  mark.end = words.offset();
  words.end();
  if (words.ok()) history.add(mark);
}

void read_chain(HistoryWords& words, ShardHistory& history) {
  Chain chain;
  chain.who = words.client();
  chain.end = words.offset();
  chain.hash = words.hash();
  words.end();
  if (words.ok()) history.add(chain);
}

void read_log(HistoryWords& words, ShardHistory& history) {
  LogPiece piece;
  piece.replica = words.client();
  piece.start = words.offset();
  const std::vector<Value> values = words.values();
  if (piece.start.value() + values.size() >= kHistoryItemsMax) {
    words.refuse("the log is too long");
  }
  if (words.ok()) history.add_log(piece, values);
}

using Reader = void (*)(HistoryWords&, ShardHistory&);
constexpr std::array<std::string_view, 8> kKinds = {"append", "read",      "trimmed", "tail",
                                                    "trim",   "watermark", "chain",   "log"};
constexpr std::array<Reader, 8> kReaders = {read_append, read_read,      read_trimmed, read_tail,
                                            read_trim,   read_watermark, read_chain,   read_log};

}  // namespace

void write_history(std::ostream& out, const History& history) {
  out << kFirstLine << '\n';
  for (const auto& [key, shard] : history.shards()) write_shard(out, key, shard);
}

Result<History> read_history(std::istream& in) {
  History history;
  std::string line;
  if (!std::getline(in, line) || line != kFirstLine) {
    return fail(Errc::kInvalidArgument,
                "line 1: a history begins with '" + std::string(kFirstLine) + "'");
  }
  for (std::uint64_t number = 2; std::getline(in, line); ++number) {
    if (line.empty() || line.starts_with('#')) continue;
    if (line.size() > kHistoryLineBytesMax) {
      return fail(Errc::kInvalidArgument, "line " + std::to_string(number) + " is too long");
    }
    HistoryWords words(line);
    const std::uint8_t kind = words.one_of(kKinds, "a kind of operation");
    const ShardKey shard = words.shard();
    if (words.ok()) kReaders.at(kind)(words, history.shard(shard));
    if (!words.ok()) {
      return fail(Errc::kInvalidArgument,
                  "line " + std::to_string(number) + ": " + words.complaint());
    }
  }
  return history;
}

}  // namespace lignum::jepsen
