#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

// Which connection of the ClientCore a socket serves, and which of its sockets it is.
struct SocketName {
  std::uint32_t connection = 0;
  std::uint64_t generation = 0;
};

// One TCP connection of the client: resolves, connects, cuts the stream of bytes into messages,
// gathers what is to be sent into one write. TCP_NODELAY: coalescing is the producer's business.
//
// Made by the shell, kept alive by its own pending operations too; all on the client's thread. It
// decides nothing: what happens becomes an event. After close() there are no more events.
class ClientSocket : public std::enable_shared_from_this<ClientSocket> {
 public:
  struct Message {
    wire::Response response;
    Payload payload;
  };
  // Where the events go; outlives every socket that is not closed.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_connected(SocketName name) = 0;
    // At most once, and nothing follows.
    virtual void on_lost(SocketName name, Error error) = 0;
    // Some of a message that is not complete.
    virtual void on_bytes(SocketName name) = 0;
    // Whatever arrived together.
    virtual void on_messages(SocketName name, std::vector<Message> messages) = 0;
  };

  ClientSocket(boost::asio::io_context& io, Events& events, SocketName name);

  // host:port, [v6]:port. Ends in on_connected or on_lost, never inside this call.
  void open(const std::string& address);
  // Queues the message; bounded by ConnectionCore::kOutstandingMax. Never blocks.
  void send(const wire::Request& request, Payload payload);
  // Begins to write what is queued, as one write.
  void flush() { write(); }
  void close();

 private:
  struct Outgoing {
    std::vector<std::byte> head;
    Payload payload;
  };

  void connect(const boost::asio::ip::tcp::resolver::results_type& endpoints);
  void read();
  void on_read(std::size_t bytes);
  void write();
  void lose(Errc code, const std::string& what);

  Events& events_;
  const SocketName name_;
  std::string address_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  bool closed_ = false;
  std::vector<Outgoing> queued_;
  // Being written; its buffers must stay put.
  std::vector<Outgoing> writing_;
  MessageReader reader_;
};

}  // namespace lignum::net
