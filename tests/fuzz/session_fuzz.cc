// ServerSession: a script of what a client sends and what the server does meanwhile. Raw bytes,
// well-formed messages with rubbish in them, answers in any order, ticks, draining, partial writes.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "net/message.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/server_session.h"
#include "raft/check.h"
#include "raft/payload.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

net::ServerSession::Options small_bounds() {
  net::ServerSession::Options options;
  options.limits = {.header_bytes_max = 2048, .message_bytes_max = std::size_t{64} << 10};
  options.outstanding_max = 4;
  options.outstanding_bytes_max = std::size_t{32} << 10;
  options.output_bytes_max = std::size_t{16} << 10;
  options.output_bytes_hard_max = std::size_t{64} << 10;
  options.memory_max = std::size_t{96} << 10;
  return options;
}

class Play {
 public:
  explicit Play(Bytes script) : script_(script) {}

  void run() {
    while (!script_.empty() && !over_) step();
    CHECK(session_.outstanding() == taken_.size());
  }

 private:
  void step() {
    switch (script_.take<std::uint8_t>() % 7) {
      case 0:
        return put(script_.take_bytes(script_.take<std::uint16_t>()));
      case 1:
        return hello();
      case 2:
        return request(script_.take_bytes(script_.take<std::uint8_t>()));
      case 3:
        return answer(script_.take<std::uint16_t>());
      case 4:
        return take_output(script_.take<std::uint16_t>());
      case 5:
        now_ += script_.take<std::uint8_t>() * net::kSecond;
        over_ = session_.on_tick(now_);
        CHECK(!over_ || session_.broken().has_value());
        return;
      default:
        if (script_.take<std::uint8_t>() == 0) session_.drain();
        session_.release_idle();
    }
  }

  void put(Bytes bytes) {
    while (!bytes.empty() && session_.wants_read()) {
      const auto room = session_.prepare();
      CHECK(!room.empty());
      CHECK(session_.handshaken() || room.size() <= (std::size_t{64} << 10));
      const std::size_t n = std::min(room.size(), bytes.size());
      std::ranges::copy(bytes.first(n), room.begin());
      session_.commit(n);
      bytes = bytes.subspan(n);
      take_requests();
    }
  }

  void take_requests() {
    while (auto incoming = session_.next_request()) {
      CHECK(session_.handshaken());
      CHECK(incoming->request.id() != 0);
      CHECK(std::ranges::find(taken_, incoming->request.id()) == taken_.end());
      taken_.push_back(incoming->request.id());
    }
    CHECK(taken_.size() <= small_bounds().outstanding_max);
  }

  void hello() {
    wire::Request request;
    request.set_id(1);
    request.mutable_hello()->set_protocol_version(net::kProtocolVersion);
    put(net::encode_message(request, {}));
  }

  // What parses is sent as a message of its own, so that the fuzzer gets past the checksum.
  void request(Bytes header) {
    wire::Request request;
    if (!request.ParseFromArray(header.data(), static_cast<int>(header.size()))) return;
    put(net::encode_message(request, {}));
  }

  void answer(std::size_t payload_bytes) {
    if (taken_.empty()) return;
    const std::uint64_t id = taken_[payload_bytes % taken_.size()];
    std::erase(taken_, id);
    wire::Response response;
    response.mutable_stat();
    session_.reply(id, std::move(response), {Payload(std::vector<std::byte>(payload_bytes))});
    take_requests();
  }

  void take_output(std::size_t bytes) {
    std::array<Bytes, 3> pieces;
    const std::size_t count = session_.output(pieces);
    std::size_t there = 0;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(!pieces[i].empty());
      there += pieces[i].size();
    }
    CHECK(there <= session_.output_bytes());
    session_.sent(std::min(there, bytes));
    take_requests();
    over_ = session_.finished();
  }

  Input script_;
  const net::ServerSession::Options options_ = small_bounds();
  net::MemoryBudget budget_{options_.memory_max};
  net::ServerSession session_{options_, budget_};
  std::vector<std::uint64_t> taken_;
  net::Moment now_ = 0;
  bool over_ = false;
};

}  // namespace

void fuzz_one(Bytes input) { Play(input).run(); }

}  // namespace lignum::fuzz
