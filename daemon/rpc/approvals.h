// The calls about tasks, apart from any transport.
#pragma once

#include "beamline/v1/approval.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// Requests and responses live until `done` is called.
void ListTasks(const Backend& backend, const Caller& caller, const v1::ListTasksRequest& request,
               v1::ListTasksResponse* response, Done done);
void GetTask(const Backend& backend, const Caller& caller, const v1::GetTaskRequest& request,
             v1::GetTaskResponse* response, Done done);
void DecideTask(const Backend& backend, const Caller& caller, const v1::DecideTaskRequest& request,
                v1::DecideTaskResponse* response, Done done);
void DelegateTask(const Backend& backend, const Caller& caller,
                  const v1::DelegateTaskRequest& request, Done done);

}  // namespace beamline::rpc
