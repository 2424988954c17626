// Workers and queues as the wire shows them.
#pragma once

#include <vector>

#include "beamline/v1/worker.pb.h"
#include "daemon/ports/worker_pool.h"

namespace beamline::rpc {

void WriteWorkers(const ports::WorkerPoolStatus& status, v1::ListWorkersResponse* response);
void WriteQueues(const std::vector<ports::WorkerQueueStatus>& queues,
                 google::protobuf::RepeatedPtrField<v1::WorkerQueue>* wire);

}  // namespace beamline::rpc
