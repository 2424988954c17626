// The JSON of what several commands show of workers.
#pragma once

#include <string>

#include "beamline/v1/worker.pb.h"

namespace beamline::cli {

// {queue, task, waiting, waiting_since?, workers}
std::string QueueJson(const v1::WorkerQueue& queue);

}  // namespace beamline::cli
