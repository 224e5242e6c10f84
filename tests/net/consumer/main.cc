#include <lignum/net/client.h>

#include <iostream>

// Appends one record where a node listens; succeeds, too, where the library says that none does.
int main(int argc, char** argv) {
  lignum::ClientOptions options;
  options.endpoints = {argc > 1 ? argv[1] : "127.0.0.1:1"};
  const auto client = lignum::Client::connect(options);
  if (!client) {
    std::cout << client.error().describe() << '\n';
    return client.error().code() == lignum::Errc::kUnavailable ? 0 : 1;
  }
  const auto ack = (*client)->append_wait(
      "app", {.value = lignum::to_bytes("hello"), .level = lignum::Level::kInfo});
  if (!ack) {
    std::cerr << ack.error().describe() << '\n';
    return 1;
  }
  std::cout << "offset " << ack->offset.value() << '\n';
}
