// Writes the seed corpus: make_corpus tests/fuzz/corpus. By hand, when a format or a target has
// changed; the files are committed. Seeds are well-formed, the fuzzer takes care of the rest.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <ios>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/message.h"
#include "net/proto/client.pb.h"
#include "net/raft_codec.h"
#include "net/repair_messages.h"
#include "net/server_session.h"
#include "net/snapshot_messages.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/shard/shard_state.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/hard_state_block.h"
#include "storage/identity_file.h"
#include "storage/level.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "storage/snapshot_image.h"

namespace lignum::fuzz {

namespace {

using std::string_view_literals::operator""sv;
using Buffer = std::vector<std::byte>;

// One folder of the corpus.
class Corpus {
 public:
  Corpus(const std::filesystem::path& root, std::string_view thing) : folder_(root / thing) {
    std::filesystem::create_directories(folder_);
  }
  // The input is these pieces, one after the other.
  void add(const std::string& name, std::initializer_list<Bytes> pieces) const {
    std::ofstream file(folder_ / name, std::ios::binary);
    for (const Bytes& piece : pieces) {
      file.write(reinterpret_cast<const char*>(piece.data()),
                 static_cast<std::streamsize>(piece.size()));
    }
    CHECK(file.flush().good());
  }

 private:
  std::filesystem::path folder_;
};

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::array<std::byte, 1> byte(unsigned value) { return {static_cast<std::byte>(value)}; }

Buffer hello() {
  wire::Request request;
  request.set_id(1);
  request.mutable_hello()->set_protocol_version(net::kProtocolVersion);
  request.mutable_hello()->set_client_name("seed");
  return net::encode_message(request, {});
}

Buffer append() {
  wire::Request request;
  request.set_id(2);
  request.mutable_append()->set_stream(7);
  const Payload payload{Buffer(100)};
  Buffer out = net::encode_message(request, std::span(&payload, 1));
  out.insert(out.end(), payload.bytes().begin(), payload.bytes().end());
  return out;
}

Buffer batch(Codec codec, ProducerId producer = ProducerId(3)) {
  BatchBuilder builder;
  const std::array headers = {level_header(Level::kError),
                              HeaderView{.key = "host", .value = bytes_of("a.example")}};
  for (int i = 0; i < 8; ++i) {
    CHECK(builder
              .add({.timestamp = 1'700'000'000'000 + i,
                    .key = bytes_of("key"),
                    .value = bytes_of("a line that repeats itself, repeats itself"),
                    .headers = headers})
              .has_value());
  }
  auto built = builder.build(ProducerStamp{.id = producer, .base_sequence = 5}, codec);
  CHECK(built.has_value());
  return std::move(*built);
}

void add_wire(const std::filesystem::path& root) {
  const Corpus message(root, "message");
  message.add("two", {byte(200), byte(0), hello(), append()});
  message.add("bytewise", {byte(0), byte(0), append(), hello()});
  message.add("made", {byte(3), byte(1), bytes_of("\x10\x01"sv), Buffer(0x110), bytes_of("rest")});
  const Corpus session(root, "session");
  const Bytes request = bytes_of("\x08\x05\x92\x01\x00"sv);  // id 5, list_streams {}
  session.add("served", {byte(1), byte(2), byte(5), request, byte(3), bytes_of("\x10\x00"sv),
                         byte(4), bytes_of("\xFF\xFF"sv)});
  session.add("ticks", {byte(5), byte(1), byte(1), byte(5), byte(100), byte(6), byte(0), byte(2),
                        byte(5), request, byte(4), bytes_of("\x09\x00"sv)});
  session.add("raw", {byte(0), bytes_of("\xFF\x00"sv), hello()});
}

template <class Body>
void add_peer_message(const Corpus& corpus, const std::string& name, Body message) {
  message.from = {.node = NodeId(1), .incarnation = NodeIncarnation(2)};
  message.to = {.node = NodeId(3), .incarnation = NodeIncarnation(4)};
  const net::EncodedPeerMessage encoded = net::encode_peer_message(
      {.group = GroupId(1), .incarnation = GroupIncarnation(9), .body = std::move(message)});
  const Bytes header = Bytes(encoded.head).subspan(net::kPrefixBytes);
  const std::array<std::byte, 2> bytes = {static_cast<std::byte>(header.size()),
                                          static_cast<std::byte>(header.size() >> 8)};
  Buffer payload;
  for (const Payload& slice : encoded.payload) {
    payload.insert(payload.end(), slice.bytes().begin(), slice.bytes().end());
  }
  corpus.add(name, {bytes, header, payload});
}

void add_peers(const std::filesystem::path& root) {
  const Corpus corpus(root, "peer_message");
  Entry entry;
  entry.payload = Payload{Buffer(20)};
  entry.header = {.group = GroupIncarnation(9),
                  .index = Index(5),
                  .term = Term(2),
                  .kind = EntryKind::kBatch,
                  .payload_bytes = 20,
                  .payload_crc = crc32c(Buffer(20))};
  add_peer_message(
      corpus, "append",
      raft::Message{.body = raft::AppendEntries{.term = Term(3),
                                                .previous = {.term = Term(2), .index = Index(4)},
                                                .entries = {entry}}});
  add_peer_message(corpus, "vote", raft::Message{.body = raft::RequestVote{.term = Term(3)}});
  add_peer_message(corpus, "rejected",
                   raft::Message{.body = raft::AppendReply{.conflict = LogId{}}});
  add_peer_message(corpus, "heartbeat", raft::Message{.body = raft::Heartbeat{.term = Term(3)}});
  const ReplicaId voter{.node = NodeId(1), .incarnation = NodeIncarnation(2)};
  add_peer_message(corpus, "snapshot",
                   raft::Message{.body = raft::InstallSnapshot{
                                     .term = Term(3),
                                     .snapshot = {.id = {.term = Term(2), .index = Index(4)},
                                                  .membership = {.voters = {voter}}}}});
  const LogId last{.term = Term(2), .index = Index(9)};
  const storage::LogMark mark{.id = last, .chain = {.low = 1, .high = 2}, .append_time = 3};
  add_peer_message(corpus, "offer",
                   net::SnapshotOffer{.term = Term(3),
                                      .snapshot = {.id = last, .membership = {.voters = {voter}}},
                                      .last = mark,
                                      .image_bytes = 80});
  add_peer_message(corpus, "pull",
                   net::SnapshotPull{
                       .snapshot = last, .want = net::SnapshotPull::Want::kPlace, .known = {mark}});
  net::SnapshotLog log{.snapshot = last};
  log.after.id = {.term = Term(1), .index = Index(4)};
  log.items.push_back({.skip_to = std::nullopt, .entry = entry});
  log.items.push_back({.skip_to = mark, .entry = {}});
  const std::vector<storage::KeptItem> items = log.items;
  const storage::LogMark after = log.after;
  add_peer_message(corpus, "pieces", std::move(log));
  add_peer_message(corpus, "image",
                   net::SnapshotImage{.snapshot = last, .bytes = Payload{Buffer(30)}});
  add_peer_message(corpus, "repair",
                   net::RepairRequest{.number = 1, .after = after, .last = Index(9)});
  add_peer_message(corpus, "repaired",
                   net::RepairReply{.number = 1,
                                    .answer = net::RepairReply::Answer::kItems,
                                    .after = after,
                                    .end = Index(9),
                                    .items = items});
  add_peer_message(corpus, "image-request",
                   net::RepairImageRequest{.number = 1, .least = Index(9), .image = last});
  add_peer_message(
      corpus, "image-piece",
      net::RepairImage{
          .number = 1, .image = last, .image_bytes = 90, .bytes = Payload{Buffer(30)}});
}

void add_batches(const std::filesystem::path& root) {
  const Corpus batches(root, "record_batch");
  const Corpus compressed(root, "compression");
  for (unsigned number = 0; number < 5; ++number) {
    const auto codec = static_cast<Codec>(number);
    const std::string name(codec_name(codec));
    batches.add(name, {byte(0), batch(codec)});
    batches.add(name + "-repaired", {byte(1), batch(codec)});
    const auto packed = compress(codec, bytes_of("compress me, compress me, compress me"));
    CHECK(packed.has_value());
    compressed.add(name, {byte(number), *packed});
  }
}

void add_log(const std::filesystem::path& root) {
  const Corpus log(root, "log_frame");
  Entry entry;
  entry.header = {.group = GroupIncarnation(9),
                  .index = Index(4),
                  .term = Term(2),
                  .kind = EntryKind::kBatch,
                  .shard = {.stream = StreamId(1), .shard = ShardNumber(2)},
                  .base_offset = Offset(40),
                  .record_count = 3,
                  .append_time = 5,
                  .payload_bytes = 100,
                  .payload_crc = crc32c(Buffer(100))};
  entry.payload = Payload{Buffer(100)};
  const storage::Envelope envelope{.segment = SegmentId(3), .position = 4096};
  Buffer frame(1024);
  frame.resize(storage::encode_entry(envelope, entry, frame));
  log.add("entry", {frame});
  Buffer marker(1024);
  const storage::Envelope marks{
      .kind = storage::FrameKind::kMarker, .segment = SegmentId(3), .position = 4096};
  marker.resize(
      storage::encode_marker(marks, {.group = GroupIncarnation(9), .last = Index(4)}, marker));
  log.add("marker", {marker});
  storage::SegmentIndex index;
  index.add(entry.header, 4096, 512);
  log.add("footer", {index.encode(GroupIncarnation(9), SegmentId(3))});
  const auto header = storage::encode_segment_header({.segment = SegmentId(3)});
  log.add("header", {header.bytes()});
}

void add_node_files(const std::filesystem::path& root) {
  const Corpus files(root, "node_files");
  jepsen::SimDisk disk;
  const auto directory = disk.root();
  storage::Manifest manifest{.group = GroupId(1), .next_segment = SegmentId(2)};
  manifest.segments.push_back({.id = SegmentId(1), .file_bytes = 4096});
  CHECK(storage::ManifestFile::create(*directory, manifest).has_value());
  files.add("manifest", {byte(0), disk.contents(storage::kManifestName)});
  CHECK(storage::store_identity(*directory, {.node = NodeId(1)}).has_value());
  files.add("identity", {byte(1), disk.contents(storage::kIdentityFileName)});
  auto writer = storage::ImageWriter::create(*directory, {.applied = {.index = Index(7)}});
  CHECK(writer.has_value());
  CHECK((*writer)->add("key", "value").has_value() && (*writer)->finish().has_value());
  files.add("image", {byte(2), disk.contents("image-00000000000000000007")});
  std::array<std::byte, storage::kBlockBytes> block{};
  storage::encode_hard_state({.group = GroupId(1), .sequence = 3}, block);
  files.add("hard_state", {byte(3), block});
  storage::encode_hard_state_header({.groups = 8}, block);
  files.add("hard_state_header", {byte(3), block});
}

void add_states(const std::filesystem::path& root) {
  const Corpus shards(root, "shard_state");
  // No pairs; then open, batch, trim, drop of one shard.
  shards.add("life", {byte(0), bytes_of("\x03----"sv), bytes_of("\x00\x01\x00\x05--"sv),
                      bytes_of("\x02----"sv),
                      bytes_of("\x01\x00\x05\x03\x02"
                               "ab"sv),
                      bytes_of("\x03----"sv), bytes_of("\x02\x01\x00\x06\x00"sv),
                      bytes_of("\x03----"sv), bytes_of("\x01\x01\x00"sv)});
  const auto add_pairs = [&shards](const std::string& name, const server::ShardState& state) {
    Buffer pairs;
    unsigned count = 0;
    state.for_each([&](std::string_view key, std::string_view value) {
      ++count;
      for (const std::string_view text : {key, value}) {
        pairs.push_back(static_cast<std::byte>(text.size()));
        const Bytes bytes = bytes_of(text);
        pairs.insert(pairs.end(), bytes.begin(), bytes.end());
      }
    });
    shards.add(name, {byte(count), pairs});
  };
  // Remembers one producer, and that another one was forgotten.
  server::ShardState state(1);
  Entry entry;
  entry.header.kind = EntryKind::kCommand;
  entry.payload = server::encode_open_shard({.key = {.stream = StreamId(1)}, .start = Offset(5)});
  CHECK(state.apply(entry).has_value());
  add_pairs("pair", state);
  for (std::int64_t id = 3; id < 5; ++id) {
    Buffer bytes = batch(Codec::kNone, ProducerId(id));
    const Offset base(5 + (8 * static_cast<std::uint64_t>(id - 3)));
    patch_base_offset(bytes, base);
    entry.header = {.index = Index(static_cast<std::uint64_t>(id)),
                    .kind = EntryKind::kBatch,
                    .shard = {.stream = StreamId(1)},
                    .base_offset = base,
                    .record_count = 8};
    entry.payload = Payload(std::move(bytes));
    CHECK(state.apply(entry).has_value());
  }
  add_pairs("evicted", state);

  const Corpus meta(root, "meta_state");
  meta.add("life", {byte(0), byte(0), byte(1), bytes_of("\x03"sv), bytes_of("app\x04"sv), byte(3),
                    bytes_of("\x10\x00"sv), byte(2), bytes_of("\x03"sv), bytes_of("app")});
}

void add_memberships(const std::filesystem::path& root) {
  const Corpus memberships(root, "membership");
  const auto member = [](std::uint32_t node) {
    return ReplicaId{.node = NodeId(node), .incarnation = NodeIncarnation(7)};
  };
  const Payload one = raft::encode({.voters = {member(1)}});
  const Payload joint = raft::encode({.voters = {member(2), member(3)},
                                      .outgoing = {member(1), member(2)},
                                      .learners = {member(4)},
                                      .learners_next = {member(1)},
                                      .auto_leave = true,
                                      .recovery = 2});
  memberships.add("one", {byte(0), one.bytes()});
  memberships.add("joint", {byte(0), joint.bytes()});
  memberships.add("joint-repaired", {byte(1), joint.bytes()});
}

void add_texts(const std::filesystem::path& root) {
  const Corpus options(root, "options");
  options.add("toml", {byte(0), bytes_of("listen = \"127.0.0.1:7400\"\ngroups = 4\n[log]\n"
                                         "level = \"debug\"\n[stream]\nretention = \"7d\"\n")});
  options.add("variable", {byte(1), bytes_of("LISTEN=[::1]:0")});
  for (const std::string_view text : {"64MiB", "7d", "127.0.0.1:7400", "1.5GB", "250ms"}) {
    options.add("value-" + std::to_string(text.size()), {byte(2), bytes_of(text)});
  }
  const Corpus cursor(root, "cursor");
  cursor.add("two", {bytes_of("v1:1:0=5,3=18446744073709551615;9:0=0")});
  cursor.add("other", {bytes_of("v2:1:0=5")});
}

}  // namespace

}  // namespace lignum::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_corpus DIRECTORY\n", stderr);
    return 2;
  }
  namespace fuzz = lignum::fuzz;
  const std::filesystem::path root = argv[1];
  fuzz::add_wire(root);
  fuzz::add_peers(root);
  fuzz::add_batches(root);
  fuzz::add_log(root);
  fuzz::add_node_files(root);
  fuzz::add_states(root);
  fuzz::add_memberships(root);
  fuzz::add_texts(root);
  return 0;
}
