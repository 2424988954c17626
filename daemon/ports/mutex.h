// The daemon's name for the mutex that it shares with the terminal.
#pragma once

#include "flowspec/mutex.h"

namespace beamline::ports {

using Mutex = flowspec::Mutex;
using MutexLock = flowspec::MutexLock;

}  // namespace beamline::ports
