#pragma once

// Sees to it that a damaged log becomes whole again (rules I): storage/log_repair.h says what is
// missing, the other members of the group are asked for it one after the other, whether they lead,
// follow or are damaged themselves.
//
//     survey ─► advance ─► ask ─► reply ─► add ─┐          nothing missing ─► whole
//                  ▲        ▲ nothing, or lost: the next   (the group is opened anew)
//                  ├────────┴───────────────────┘
//                  └── the log anew, up to an image ◄── nobody has it: an image is asked for
//                                                       (repair_image_fetch.h)
//
// Meanwhile the replica does not exist: it neither votes nor acknowledges nor campaigns. What is
// sound of its log is given to others that ask. Where nothing says how far the log reached, a
// leader's word is waited for (repair_answers.h). What nobody has any more, because it was cleaned
// everywhere or never committed, is made up for by the state of a sound member and the log up to
// it; so is it where the log is sound and no state here reaches its beginning. Where there is none
// the group stays halted here, and that is told; it is asked for again for ever, for whoever has it
// may only be down.
//
// Owned by the group host, on the group's lane; input and output on its pools, one piece at a time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/peer_message.h"
#include "net/repair_messages.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/repair_image_fetch.h"
#include "storage/file.h"
#include "storage/log_mark.h"
#include "storage/log_repair.h"
#include "storage/log_survey.h"

namespace lignum::server {

class LogRepairer {
 public:
  // Members that are asked; more are not remembered.
  static constexpr std::size_t kPeersMax = 16;
  // An answer that has not come by then is given up.
  static constexpr std::uint32_t kAnswerTicks = 10;
  // Between two rounds in which nobody had what is missing, and before what failed is tried again.
  static constexpr std::uint32_t kRoundTicks = 10;
  // Before a log is looked at again that was whole and could not be opened.
  static constexpr std::uint32_t kReopenTicks = 100;
  static constexpr std::uint32_t kReopenTicksMax = 1200;
  // Without room there is nothing to hurry for.
  static constexpr std::uint32_t kNoSpaceTicks = 100;
  // Rounds without an answer of use after which a log that is made anew begins with another state.
  static constexpr std::uint32_t kAnewRounds = 20;
  // How often the operator is told that it is still missing.
  static constexpr std::int64_t kTellEveryUs = 60'000'000;

  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    ReplicaId self;
    // The newest recovery from a lost quorum that this replica has heard of.
    std::uint64_t recovery = 0;
    // The log is sound and begins there, and no state here reaches it: a member's state is asked
    // for. It is named when the log is opened; or the log is made anew up to it, where one was of
    // no use.
    std::optional<Index> state_from{};
    bool make_anew = false;
    // The group's members as far as they are known; whoever writes to this one is added.
    std::vector<ReplicaId> peers;
    Ports& ports;
    // Looks at the log; on the background pool. Empty: the log is to be opened again, as it is.
    std::function<Result<std::unique_ptr<storage::LogRepair>>()> begin;
    // Opens the directory of the group's images; on the background pool.
    std::function<Result<std::shared_ptr<storage::Directory>>()> images;
    // Why a sync of one of the group's directories failed, where one did.
    std::function<std::optional<Error>()> sync_error;
    std::int64_t tick_us = 50'000;
    std::size_t piece_bytes = net::kRepairPieceBytes;
    // Called once, on the lane, from a posted task. `mended`: something was.
    std::function<void(bool mended)> whole;
  };
  explicit LogRepairer(Parts parts);
  ~LogRepairer();
  LogRepairer(const LogRepairer&) = delete;
  LogRepairer& operator=(const LogRepairer&) = delete;

  // Looks at the log, or has it opened again, after so many ticks.
  void start(std::uint32_t after_ticks = 0);
  // A message of another member.
  void receive(net::PeerMessage message);
  // `done` is posted when no work is out; whole() is not called any more.
  void stop(Task done);

 private:
  // What the pool works on; one piece of work at a time.
  struct Bench {
    std::unique_ptr<storage::LogRepair> repair;
    std::optional<storage::MissingRange> missing;
    // Staged, and not yet named: the state that the log is made anew from.
    std::optional<storage::LogMark> state;
  };
  // Goes on with the repair; the state is named as soon as the log has reached it.
  [[nodiscard]] static Result<void> advance(Bench& bench, const Parts& parts);

  void begin();
  // Runs `step` on the repair, then goes on until something is missing.
  void work(std::move_only_function<Result<void>(storage::LogRepair&)> step);
  void run(Work work, std::function<void(const Result<void>&)> then);
  void worked(const Result<void>& outcome);
  void add(std::vector<storage::KeptItem> items);
  void rest();
  void fetch_state();
  void fetched(const std::optional<storage::LogMark>& mark);
  // The log ends where it stands.
  void end_here();
  // The process has to end.
  void disk_failed(const Error& error);
  void fail_with(const Error& error);
  void ask();
  void ask_next();
  void on_reply(net::RepairReply reply);
  void on_request(const net::RepairRequest& request);
  void send(net::RepairReply reply);
  void on_timer();
  void tell();
  [[nodiscard]] std::string describe_missing() const;
  // Where the log begins whose state is missing.
  [[nodiscard]] std::uint64_t state_from() const {
    return parts_.state_from.value_or(Index(1)).value();
  }
  void finish();

  Parts parts_;
  RepairImageFetch fetch_;
  std::shared_ptr<Bench> bench_ = std::make_shared<Bench>();
  std::shared_ptr<const storage::LogSurvey> survey_;
  // On the lane: what is asked for.
  std::optional<storage::MissingRange> missing_;
  bool busy_ = false;
  bool answering_ = false;
  // Nothing is missing of the log but the state before it.
  bool state_missing_ = false;
  // The log is made anew for it.
  bool anew_ = false;
  bool mended_ = false;
  bool over_ = false;
  // Of parts_.peers: who is asked; and how many had nothing since something was added.
  std::size_t peer_ = 0;
  std::size_t refusals_ = 0;
  // One of them said so, instead of being silent.
  bool denied_ = false;
  // Of the log that is made anew.
  std::uint32_t idle_rounds_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t first_number_ = 0;
  // Set: an answer is waited for, or a round has ended.
  std::optional<std::uint32_t> ticks_left_;
  bool resting_ = false;
  // Of a range without an end: how far a leader's log reached when it was first asked.
  std::optional<Index> goal_;
  bool ended_ = false;
  std::optional<std::int64_t> told_at_;
  std::optional<std::int64_t> warned_at_;
  Task stopped_;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
