#include "cli/endpoint_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "raft/error.h"

namespace lignum::cli {

namespace {

std::unexpected<Error> refuse(std::string_view endpoint, std::string_view what) {
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not an endpoint: {}; write HOST:PORT, as in {}", endpoint, what,
                          kDefaultEndpoint));
}

// Beyond ASCII is left to the resolver.
bool in_name(char character) {
  const auto byte = static_cast<unsigned char>(character);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         (byte >= 'A' && byte <= 'Z') || byte == '.' || byte == '-' || byte == '_';
}

// Between brackets: an IPv6 address, with a zone such as fe80::1%eth0.
bool in_brackets(char character) {
  return in_name(character) || character == ':' || character == '%';
}

Result<void> check_host(std::string_view endpoint, std::string_view host) {
  if (host.empty() || host == "[]") return refuse(endpoint, "it has no host");
  std::string_view name = host;
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (bracketed) name = host.substr(1, host.size() - 2);
  if (!bracketed && std::ranges::count(host, ':') > 1) {
    return refuse(endpoint, "an IPv6 address stands in brackets, as in [::1]:7400");
  }
  const auto bad = std::ranges::find_if_not(name, bracketed ? in_brackets : in_name);
  if (bad == name.end()) return {};
  return refuse(endpoint,
                fmt::format("'{}' does not belong into the host '{}'", std::string(1, *bad), host));
}

Result<void> check_endpoint(std::string_view endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || endpoint.ends_with(']')) {
    return refuse(endpoint, "it has no port");
  }
  if (const std::size_t scheme = endpoint.find("://"); scheme != std::string_view::npos) {
    return refuse(endpoint, fmt::format("leave out the '{}'", endpoint.substr(0, scheme + 3)));
  }
  TRY(check_host(endpoint, endpoint.substr(0, colon)));
  const std::string_view port = endpoint.substr(colon + 1);
  std::uint16_t number = 0;
  const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error == std::errc{} && rest == port.data() + port.size() && number != 0) return {};
  return refuse(endpoint, fmt::format("'{}' is not a port from 1 to 65535", port));
}

}  // namespace

Result<std::vector<std::string>> parse_endpoints(std::string_view text) {
  std::vector<std::string> endpoints;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (one.empty()) continue;
    TRY(check_endpoint(one));
    endpoints.emplace_back(one);
  }
  if (!endpoints.empty()) return endpoints;
  return fail(Errc::kInvalidArgument,
              fmt::format("no endpoint was given; write HOST:PORT, as in {}", kDefaultEndpoint));
}

}  // namespace lignum::cli
