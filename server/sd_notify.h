#pragma once

// The readiness protocol of systemd (sd_notify(3)), spoken directly: one datagram to the socket
// that NOTIFY_SOCKET names. Without that variable nothing happens. Never fails: a service manager
// that does not listen is no reason not to serve.

#include <string_view>

namespace lignum::server {

// `state` is one or more VARIABLE=value lines, such as "READY=1\nSTATUS=serving on ...".
void sd_notify(std::string_view state);

}  // namespace lignum::server
