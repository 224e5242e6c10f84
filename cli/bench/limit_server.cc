#include "cli/bench/limit_server.h"

#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "cli/bench/limit_disk.h"
#include "cli/bench/limit_socket.h"
#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "storage/file.h"
#include "storage/record_batch.h"

namespace lignum::cli {

namespace {

constexpr std::size_t kConnectionsMax = 64;

void ring(int wake) {
  const std::uint64_t one = 1;
  // Full means rung already.
  [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
}

Result<wire::Response> parse_response(const net::ReceivedMessage& message) {
  wire::Response response;
  if (!response.ParseFromArray(message.header.data(), static_cast<int>(message.header.size()))) {
    return fail(Errc::kProtocol, "a follower of the limit sent a header that cannot be read");
  }
  return response;
}

}  // namespace

Result<std::unique_ptr<LimitServer>> LimitServer::start(storage::Directory& directory,
                                                        const Options& options) {
  TRY_ASSIGN(listener, listen_on_loopback());
  std::vector<LimitSocket> followers;
  for (const std::uint16_t port : options.followers) {
    TRY_ASSIGN(socket, LimitSocket::connect(port));
    followers.push_back(std::move(socket));
  }
  std::unique_ptr<LimitServer> server(new LimitServer(std::move(listener), std::move(followers)));
  if (server->wake_.get() < 0) return std::unexpected(socket_error("eventfd"));
  server->files_ = options.files;
  TRY_ASSIGN(disk,
             LimitDisk::open(directory, {.files = options.files,
                                         .mode = options.mode,
                                         .wake = [wake = server->wake_.get()] { ring(wake); }}));
  server->disk_ = std::move(disk);
  server->thread_ = std::thread([raw = server.get()] { raw->run(); });
  return server;
}

LimitServer::LimitServer(LimitListener listener, std::vector<LimitSocket> followers)
    : listener_(std::move(listener)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      followers_(std::move(followers)) {}

LimitServer::~LimitServer() {
  stopping_ = true;
  ring(wake_.get());
  if (thread_.joinable()) thread_.join();
  // Its workers ring wake_.
  disk_.reset();
}

double LimitServer::cpu_seconds() const {
  return thread_cpu_seconds(thread_) + disk_->cpu_seconds();
}

std::optional<Error> LimitServer::failure() const {
  const MutexLock lock(mutex_);
  return failure_;
}

void LimitServer::run() {
  const Result<void> served = serve_until_stopped();
  if (served) return;
  const MutexLock lock(mutex_);
  failure_ = served.error();
  // Whoever waits for an answer learns that none will come.
  connections_.clear();
}

Result<void> LimitServer::serve_until_stopped() {
  while (!stopping_) TRY(turn());
  return {};
}

Result<void> LimitServer::turn() {
  std::vector<pollfd> polled = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                {.fd = listener_.descriptor.get(), .events = POLLIN, .revents = 0}};
  const auto watch = [&polled](int fd, bool writing) {
    polled.push_back({.fd = fd,
                      .events = static_cast<std::int16_t>(POLLIN | (writing ? POLLOUT : 0)),
                      .revents = 0});
  };
  for (const LimitSocket& follower : followers_) watch(follower.fd(), follower.wants_write());
  const std::size_t connections = connections_.size();
  for (const auto& connection : connections_) {
    // poll() passes over a negative descriptor.
    watch(connection ? connection->fd() : -1, connection && connection->wants_write());
  }
  if (::poll(polled.data(), polled.size(), -1) < 0) {
    if (errno == EINTR) return {};
    return std::unexpected(socket_error("poll"));
  }
  if (polled[0].revents != 0) {
    std::uint64_t rung = 0;
    [[maybe_unused]] const auto got = ::read(wake_.get(), &rung, sizeof rung);
  }
  TRY_ASSIGN(completed, disk_->take_completed());
  for (const std::uint64_t ticket : completed) confirm(ticket);
  if (polled[1].revents != 0) TRY(accept_one());
  std::size_t at = 2;
  for (LimitSocket& follower : followers_) {
    if ((polled[at++].revents & ~POLLOUT) != 0) TRY(hear(follower));
  }
  for (std::size_t connection = 0; connection < connections; ++connection) {
    if ((polled[at++].revents & ~POLLOUT) != 0) TRY(serve(connection));
  }
  return flush_all();
}

Result<void> LimitServer::accept_one() {
  Descriptor descriptor(::accept4(listener_.descriptor.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (descriptor.get() < 0 || connections_.size() >= kConnectionsMax) return {};
  connections_.push_back(std::make_unique<LimitSocket>(std::move(descriptor)));
  return {};
}

Result<void> LimitServer::serve(std::size_t connection) {
  LimitSocket& socket = *connections_[connection];
  const auto open = socket.receive();
  if (!open || !*open) {
    connections_[connection].reset();
    return {};
  }
  while (true) {
    TRY_ASSIGN(message, socket.next());
    if (!message) return {};
    TRY(admit(connection, *message));
  }
}

Result<void> LimitServer::admit(std::size_t connection, const net::ReceivedMessage& message) {
  wire::Request request;
  if (!request.ParseFromArray(message.header.data(), static_cast<int>(message.header.size())) ||
      !request.has_append() || request.append().stream() >= files_) {
    return fail(Errc::kProtocol, "the limit takes appends to its files and nothing else");
  }
  const Bytes batch = message.payload.bytes();
  TRY_ASSIGN(header, parse_batch_header(batch));
  TRY(check_batch_crc(batch, header));
  const std::uint64_t ticket = next_ticket_++;
  pending_[ticket] = {.connection = connection, .request = request.id(), .copies = 0};
  request.set_id(ticket);
  for (LimitSocket& follower : followers_) follower.send(request, message.payload);
  disk_->write(request.append().stream(), message.payload, ticket);
  return {};
}

Result<void> LimitServer::hear(LimitSocket& follower) {
  TRY_ASSIGN(open, follower.receive());
  if (!open) return fail(Errc::kUnavailable, "a follower of the limit has stopped");
  while (true) {
    TRY_ASSIGN(message, follower.next());
    if (!message) return {};
    TRY_ASSIGN(response, parse_response(*message));
    confirm(response.id());
  }
}

void LimitServer::confirm(std::uint64_t ticket) {
  const auto found = pending_.find(ticket);
  if (found == pending_.end()) return;
  Pending& pending = found->second;
  const std::size_t copies = followers_.size() + 1;
  if (++pending.copies == copies / 2 + 1 && connections_[pending.connection]) {
    wire::Response response;
    response.set_id(pending.request);
    response.mutable_append()->set_base_offset(next_offset_++);
    connections_[pending.connection]->send(response, {});
  }
  if (pending.copies == copies) pending_.erase(found);
}

Result<void> LimitServer::flush_all() {
  for (LimitSocket& follower : followers_) TRY(follower.flush());
  for (auto& connection : connections_) {
    if (connection && !connection->flush()) connection.reset();
  }
  return {};
}

}  // namespace lignum::cli
