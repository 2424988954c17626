// Tells the service manager how the daemon is doing (sd_notify, without its library).
#pragma once

#include <string>
#include <string_view>

namespace beamline::daemon {

// Sends `state` ("READY=1", "STOPPING=1") to `socket`, the value of $NOTIFY_SOCKET; nothing if that
// is empty. Failures are of no concern to the daemon.
// https://www.freedesktop.org/software/systemd/man/sd_notify.html
void TellServiceManager(const std::string& socket, std::string_view state);

}  // namespace beamline::daemon
