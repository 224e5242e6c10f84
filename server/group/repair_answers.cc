#include "server/group/repair_answers.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/repair_messages.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/log.h"
#include "storage/log_mark.h"

namespace lignum::server {

using Answer = net::RepairReply::Answer;

RepairAnswers::RepairAnswers(Parts parts)
    : parts_(std::move(parts)), alive_(std::make_shared<bool>(true)) {}

RepairAnswers::~RepairAnswers() { *alive_ = false; }

void RepairAnswers::on_request(const net::RepairRequest& request) {
  // The one before it is answered first; it is asked again.
  if (busy_.contains(request.from)) return;
  net::RepairReply reply{.from = request.to,
                         .to = request.from,
                         .number = request.number,
                         .answer = Answer::kNothing,
                         .after = request.after};
  if (request.last) return answer(request, std::move(reply));
  if (parts_.core.role() != raft::Role::kLeader) return send(std::move(reply));
  busy_.insert(request.from);
  parts_.confirm([this, alive = alive_, reply](const Result<void>& confirmed) {
    if (!*alive) return;
    busy_.erase(reply.to);
    if (confirmed) answer_end(reply);
  });
}

void RepairAnswers::answer(const net::RepairRequest& request, net::RepairReply reply) {
  const Index to = std::min(request.last.value_or(Index()), parts_.log.durable());
  if (request.after.id.index >= to) return send(std::move(reply));
  auto kept = parts_.log.read_kept(request.after.id.index, to, parts_.piece_bytes);
  // Where the range ends inside of a hole nothing of it is kept, and the hole is the answer.
  auto hole = parts_.log.read_kept(request.after.id.index, parts_.log.durable(), 1);
  read(std::move(reply),
       [kept = std::move(kept),
        hole = std::move(hole)](net::RepairReply& out) mutable -> Result<void> {
         TRY_ASSIGN(items, kept());
         if (items.empty()) {
           TRY_ASSIGN(wider, hole());
           items = std::move(wider);
         }
         out.items = std::move(items);
         return {};
       });
}

void RepairAnswers::answer_end(net::RepairReply reply) {
  const Index after = reply.after.id.index;
  if (parts_.core.role() != raft::Role::kLeader) return send(std::move(reply));
  reply.end = parts_.core.last().index;
  if (after >= reply.end) {
    reply.answer = Answer::kEnd;
    return send(std::move(reply));
  }
  // Behind a hole it cannot be told whether the logs part there.
  const Index first = parts_.log.first_index();
  if (after.next() < first) {
    reply.answer = Answer::kCleaned;
    reply.end = Index(first.value() - 1);
    return send(std::move(reply));
  }
  const Index to = parts_.log.durable();
  if (after >= to) return send(std::move(reply));
  auto search = parts_.log.find_mark({reply.after});
  auto kept = parts_.log.read_kept(after, to, parts_.piece_bytes);
  read(std::move(reply),
       [search = std::move(search),
        kept = std::move(kept)](net::RepairReply& out) mutable -> Result<void> {
         TRY_ASSIGN(found, search());
         if (!found) {
           out.answer = Answer::kEnd;
           return {};
         }
         TRY_ASSIGN(items, kept());
         out.items = std::move(items);
         return {};
       });
}

void RepairAnswers::read(net::RepairReply reply,
                         std::move_only_function<Result<void>(net::RepairReply&)> fill) {
  busy_.insert(reply.to);
  auto out = std::make_shared<net::RepairReply>(std::move(reply));
  auto outcome = std::make_shared<Result<void>>();
  parts_.ports.run(
      Pool::kRead,
      [out, outcome, fill = std::move(fill)]() mutable -> Result<void> {
        *outcome = fill(*out);
        return {};
      },
      [this, alive = alive_, out, outcome](const Result<void>& ran) {
        if (!*alive) return;
        busy_.erase(out->to);
        if (ran && !*outcome && outcome->error().code() == Errc::kCorrupt) {
          parts_.damaged(outcome->error());
        }
        // That it cannot be read now says nothing of whether it is here.
        if (!ran || !*outcome) return;
        if (!out->items.empty()) out->answer = Answer::kItems;
        send(std::move(*out));
      });
}

void RepairAnswers::send(net::RepairReply reply) {
  parts_.ports.send(
      {.group = parts_.group, .incarnation = parts_.incarnation, .body = std::move(reply)});
}

}  // namespace lignum::server
