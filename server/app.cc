#include "server/app.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/lanes.h"
#include "net/proto/client.pb.h"
#include "net/protocol_version.h"
#include "net/rpc_server.h"
#include "net/server_session.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/command_line.h"
#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "server/group/meta_group.h"
#include "server/group/ports.h"
#include "server/group/segment_store.h"
#include "server/lane_ports.h"
#include "server/logging.h"
#include "server/node_storage.h"
#include "server/options.h"
#include "server/process_facts.h"
#include "server/sd_notify.h"
#include "server/service/call.h"
#include "server/service/dispatch.h"
#include "server/service/node.h"
#include "server/work_pool.h"
#include "storage/file.h"
#include "storage/identity_file.h"
#include "storage/record_batch.h"

namespace lignum::server {

namespace {

constexpr std::size_t kReadThreads = 2;
// One for each segment of 64 MiB, two for each group, some for the database; warned below.
constexpr std::size_t kFilesBesideConnections = 4096;

LoggingOptions logging_options(const Options& options) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return {.format = options.log_format,
          .level = options.log_level,
          // NOLINTBEGIN(concurrency-mt-unsafe): before any thread
          .journald = std::getenv("JOURNAL_STREAM") != nullptr && !terminal,
          .colour = terminal && std::getenv("NO_COLOR") == nullptr};
  // NOLINTEND(concurrency-mt-unsafe)
}

MetaDefaults stream_defaults(const Options& options) {
  return {.shards = options.stream_shards,
          .retention_ms = options.stream_retention ? options.stream_retention->count() : -1,
          .retention_bytes = options.stream_retention_bytes
                                 ? static_cast<std::int64_t>(*options.stream_retention_bytes)
                                 : -1};
}

// Whoever reads it in a log or in `stat` is elsewhere.
std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return path;
  // Of "data/".
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  return absolute;
}

BootstrapOptions mint_identity(const Options& options) {
  std::random_device random;
  BootstrapOptions bootstrap{.groups = options.groups};
  for (std::byte& byte : bootstrap.cluster.bytes) byte = static_cast<std::byte>(random());
  bootstrap.incarnation =
      NodeIncarnation((std::uint64_t{random()} << 32U) | std::uint64_t{random()});
  return bootstrap;
}

// What a request changes beside the end of a log, for the log of the node; empty where nothing.
std::string change_of(const wire::Request& request) {
  if (request.has_create_stream()) {
    return fmt::format("create stream '{}'", escape_quoted(request.create_stream().name()));
  }
  if (request.has_delete_stream()) {
    return fmt::format("delete stream '{}'", escape_quoted(request.delete_stream().name()));
  }
  if (request.has_trim()) {
    return fmt::format("trim shard {} of stream {} before offset {}", request.trim().shard(),
                       request.trim().stream(), request.trim().before_offset());
  }
  return {};
}

// From the wire to the services.
class Handler final : public net::RequestHandler {
 public:
  Handler(const ServiceContext& context, Logging& logging) : context_(context), logging_(logging) {}
  void handle(const net::RequestContext& context, wire::Request request, Payload payload,
              net::Reply reply) override {
    std::string change = change_of(request);
    if (!change.empty()) change = fmt::format("{}: {}", context.peer, change);
    dispatch(context_, {.request = std::move(request), .payload = std::move(payload)},
             [this, change = std::move(change), reply = std::move(reply)](Answer answer) mutable {
               if (!change.empty()) tell(change, answer.response);
               reply(std::move(answer.response), std::move(answer.payload));
             });
  }

 private:
  void tell(std::string_view change, const wire::Response& response) {
    logging_.write(
        Severity::kDebug,
        fmt::format("{}: {}", change,
                    response.has_failure() ? escape_quoted(response.failure().message()) : "done"));
  }

  const ServiceContext& context_;
  Logging& logging_;
};

}  // namespace

class App::Impl {
 public:
  explicit Impl(Settings settings)
      : settings_(std::move(settings)), logging_(logging_options(settings_.options)) {
    settings_.options.data = absolute_path(settings_.options.data);
  }

  Result<void> start();
  bool stop();
  void watch_directory();
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  void reload(const Result<Settings>& settings);

 private:
  // Before anything opens files, and learns how many it may.
  void raise_limits();
  Result<void> open_groups();
  Result<void> listen();
  // Returns the level before.
  Result<std::string> change_log_level(std::string_view level);
  // host:port with the port that was given where any free one was asked for.
  [[nodiscard]] std::string bound_address() const;
  Result<void> announce();
  [[nodiscard]] NodeFacts node_facts();
  [[nodiscard]] net::RpcServerOptions rpc_options(const HostPort& address);

  Settings settings_;
  Logging logging_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  FileLimit files_;
  // In the order of making; unmade in reverse by stop().
  std::unique_ptr<NodeStorage> storage_;
  std::unique_ptr<WorkPool> flush_pool_;
  std::unique_ptr<WorkPool> read_pool_;
  std::unique_ptr<WorkPool> background_pool_;
  std::unique_ptr<WorkPool> prepare_pool_;
  std::unique_ptr<net::Lanes> lanes_;
  std::unique_ptr<LanePorts> boot_ports_;
  std::unique_ptr<GroupHost> host_;
  BootReport report_;
  std::optional<ServiceContext> services_;
  std::unique_ptr<Handler> handler_;
  std::unique_ptr<net::RpcServer> server_;
  bool serving_ = false;
  bool stopped_ = false;
};

App::App(Settings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
App::~App() { stop(); }
Result<void> App::start() { return impl_->start(); }
bool App::stop() { return impl_->stop(); }
void App::watch_directory() { impl_->watch_directory(); }
std::uint16_t App::port() const { return impl_->port(); }
void App::reload(const Result<Settings>& settings) { impl_->reload(settings); }

void App::Impl::watch_directory() {
  const auto there = storage_->check();
  if (there || there.error().code() != Errc::kNotFound) return;
  logging_.write(Severity::kError,
                 fmt::format("fatal: {}. What is acknowledged from here on would be lost, so the "
                             "node stops at once; see docs/operating/disk-failure.md",
                             there.error().message()));
  std::_Exit(exit_code(there.error()));
}

void App::Impl::raise_limits() {
  files_ = raise_file_limit();
  const std::size_t wanted = settings_.options.connections_max + kFilesBesideConnections;
  if (files_.now >= wanted) return;
  logging_.write(
      Severity::kWarn,
      fmt::format("{} files may be open; {} connections and the segments of a log may need "
                  "{}: raise LimitNOFILE= of the service, or 'ulimit -Hn'",
                  files_.now, settings_.options.connections_max, wanted));
}

Result<void> App::Impl::start() {
  raise_limits();
  TRY_ASSIGN(opened, NodeStorage::open(settings_.options.data));
  storage_ = std::move(opened);
  TRY(open_groups());
  TRY(listen());
  return announce();
}

Result<void> App::Impl::open_groups() {
  const Options& options = settings_.options;
  flush_pool_ = std::make_unique<WorkPool>(
      WorkPoolOptions{.threads = options.flush_workers, .queue_max = SIZE_MAX});
  read_pool_ = std::make_unique<WorkPool>(WorkPoolOptions{.threads = kReadThreads});
  background_pool_ = std::make_unique<WorkPool>(WorkPoolOptions{.threads = 1});
  prepare_pool_ = std::make_unique<WorkPool>(WorkPoolOptions{.threads = 1});
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  lanes_ = std::make_unique<net::Lanes>(
      net::LanesOptions{.count = options.lanes == 0 ? cores : options.lanes});
  const Pools pools{.flush = flush_pool_.get(),
                    .read = read_pool_.get(),
                    .background = background_pool_.get(),
                    .prepare = prepare_pool_.get()};
  boot_ports_ = std::make_unique<LanePorts>(lanes_->context(0), pools, logging_);
  host_ = std::make_unique<GroupHost>(
      GroupHostParts{.root = storage_->root(),
                     .bootstrap = mint_identity(options),
                     .make_log = make_segmented_log({}),
                     .open_log = open_segmented_log({}),
                     .store = storage_->state_store(),
                     .reset_store = [this] { return storage_->reset_state_store(); },
                     .make_ports = [this, pools](GroupId group) -> std::unique_ptr<Ports> {
                       return std::make_unique<LanePorts>(
                           lanes_->context(group.value() % lanes_->count()), pools, logging_);
                     },
                     .boot_ports = *boot_ports_,
                     .defaults = stream_defaults(options),
                     .begin_repair = repair_segmented_log({})});
  TRY_ASSIGN(report, host_->open());
  report_ = report;
  std::promise<void> serving;
  host_->start([&serving] { serving.set_value(); });
  serving.get_future().wait();
  serving_ = true;
  return {};
}

net::RpcServerOptions App::Impl::rpc_options(const HostPort& address) {
  const storage::NodeIdentity& identity = host_->identity();
  net::RpcServerOptions options{.host = address.host, .port = address.port};
  options.connections_max = settings_.options.connections_max;
  options.connections_per_address_max = settings_.options.connections_max;
  options.session.memory_max = settings_.options.memory_max;
  options.report = [this](const std::string& text) {
    logging_.write(Severity::kWarn, fmt::format("{} ({} files may be open)", text, files_.now));
  };
  wire::HelloReply& hello = options.session.hello;
  hello.set_protocol_version(net::kProtocolVersion);
  hello.set_cluster_id(identity.cluster.bytes.data(), identity.cluster.bytes.size());
  hello.set_node_id(identity.node.value());
  hello.set_server_version(kServerVersion);
  hello.set_message_bytes_max(static_cast<std::uint32_t>(options.session.limits.message_bytes_max));
  hello.set_batch_bytes_max(kBatchBytesMax);
  hello.set_record_bytes_max(kRecordBytesMax);
  return options;
}

NodeFacts App::Impl::node_facts() {
  const storage::NodeIdentity& identity = host_->identity();
  std::string cluster(identity.cluster.bytes.size(), '\0');
  std::memcpy(cluster.data(), identity.cluster.bytes.data(), cluster.size());
  return {
      .cluster_id = std::move(cluster),
      .node_id = identity.node.value(),
      .version = kServerVersion,
      .data_directory = settings_.options.data,
      .uptime_ms =
          [this] {
            return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                  std::chrono::steady_clock::now() - begun_)
                                                  .count());
          },
      .disk_free_bytes = [this] { return storage_->root().free_bytes().value_or(0); },
      .resident_bytes = resident_bytes,
      .cpu_us = process_cpu_us,
      .connections =
          [this] {
            return static_cast<std::uint32_t>(server_->counters().connections_open.load());
          },
      .set_log_level = [this](std::string_view level) { return change_log_level(level); }};
}

Result<void> App::Impl::listen() {
  TRY_ASSIGN(address, parse_host_port(settings_.options.listen));
  services_.emplace(ServiceContext{.router = host_->router(),
                                   .facts = node_facts(),
                                   .address_of = [this](NodeId node) -> std::optional<std::string> {
                                     if (node != host_->identity().node) return std::nullopt;
                                     return bound_address();
                                   }});
  handler_ = std::make_unique<Handler>(*services_, logging_);
  server_ = std::make_unique<net::RpcServer>(rpc_options(address), lanes_->contexts(), *handler_);
  TRY(server_->start());
  return {};
}

std::string App::Impl::bound_address() const {
  const HostPort address = *parse_host_port(settings_.options.listen);
  return address.host.contains(':') ? fmt::format("[{}]:{}", address.host, server_->port())
                                    : fmt::format("{}:{}", address.host, server_->port());
}

Result<void> App::Impl::announce() {
  const Options& options = settings_.options;
  const std::string place = bound_address();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun_);
  logging_.write(
      Severity::kInfo,
      fmt::format("ready: listening on {}, data directory {}{}, {} groups ({} halted), "
                  "{} of log, started in {} ms, {} files may be open",
                  place, options.data, report_.made ? " (new)" : "", report_.groups, report_.halted,
                  print_size(report_.log_bytes), took.count(), files_.now));
  if (!report_.made && report_.groups != options.groups + 1 &&
      settings_.sources.contains("groups")) {
    logging_.write(Severity::kWarn,
                   fmt::format("groups = {} is for a new data directory; this one has {}",
                               options.groups, report_.groups - 1));
  }
  if (!options.port_file.empty()) {
    errno = 0;
    std::ofstream file(options.port_file, std::ios::trunc);
    if (!file && errno == EMFILE) {
      return fail(Errc::kTooManyFiles,
                  fmt::format("cannot write the port file {}: too many open files: {} are allowed; "
                              "raise LimitNOFILE= of the service, or 'ulimit -n'",
                              options.port_file, files_.now));
    }
    file << server_->port() << '\n';
    if (!file.flush()) {
      return fail(Errc::kIo, fmt::format("cannot write the port file {}", options.port_file));
    }
  }
  sd_notify(fmt::format("READY=1\nSTATUS=listening on {}\nMAINPID={}", place, ::getpid()));
  return {};
}

bool App::Impl::stop() {
  if (std::exchange(stopped_, true)) return true;
  const auto deadline = std::chrono::steady_clock::now() + kStopMax;
  const auto left = [deadline] {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::duration_cast<std::chrono::milliseconds>(
                        deadline - std::chrono::steady_clock::now()));
  };
  bool in_time = true;
  if (server_) {
    sd_notify("STOPPING=1");
    server_->drain();
  }
  if (serving_) {
    // Shared: a group that hangs may still call it after the wait was given up.
    auto groups = std::make_shared<std::promise<void>>();
    auto stopped = groups->get_future();
    host_->stop([groups] { groups->set_value(); });
    in_time = stopped.wait_for(left()) == std::future_status::ready;
  }
  if (server_) {
    // Answers that were just given still leave.
    if (!server_->wait_closed(std::min(left(), std::chrono::milliseconds(500)))) server_->stop();
    in_time = server_->wait_closed(left()) && in_time;
  }
  if (lanes_) lanes_->stop();
  flush_pool_.reset();
  read_pool_.reset();
  background_pool_.reset();
  prepare_pool_.reset();
  server_.reset();
  host_.reset();
  boot_ports_.reset();
  lanes_.reset();
  storage_.reset();
  if (serving_) logging_.write(Severity::kInfo, in_time ? "stopped" : "stopped in a hurry");
  return in_time;
}

void App::Impl::reload(const Result<Settings>& settings) {
  if (!settings) {
    logging_.write(Severity::kWarn,
                   fmt::format("configuration not read again: {}; the level stays {}",
                               settings.error().message(), logging_.level()));
    return;
  }
  // Settings have only levels that exist.
  CHECK(change_log_level(settings->options.log_level).has_value());
}

Result<std::string> App::Impl::change_log_level(std::string_view level) {
  TRY_ASSIGN(before, logging_.set_level(level));
  logging_.write(Severity::kInfo, fmt::format("log level {} (was {})", level, before));
  return before;
}

int exit_code(const Error& error) {
  constexpr int kOther = 1;
  constexpr int kUsage = 2;
  constexpr int kUnservable = 5;
  constexpr int kLocalTrouble = 7;
  constexpr std::array kLocal = {
      Errc::kLocked,        Errc::kCorrupt,          Errc::kIo,
      Errc::kNoSpace,       Errc::kUnsupported,      Errc::kNotFound,
      Errc::kAlreadyExists, Errc::kPermissionDenied, Errc::kTooManyFiles};
  if (error.code() == Errc::kInvalidArgument) return kUsage;
  if (error.code() == Errc::kUnavailable) return kUnservable;
  return std::ranges::find(kLocal, error.code()) != kLocal.end() ? kLocalTrouble : kOther;
}

}  // namespace lignum::server
