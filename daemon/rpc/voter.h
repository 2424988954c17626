// Who a caller is among approvers: one person, however connected, and the groups they belong to.
#pragma once

#include <string>

#include "daemon/rpc/backend.h"
#include "daemon/run/command.h"

namespace beamline::rpc {

// "uid:1000" is the user of that number on this machine, "cert:ada" is ada; a user of this machine
// and a certificate of one name are one person. Asks the system's list of users: may block.
run::Voter VoterOf(const Caller& caller, const Groups& groups);

}  // namespace beamline::rpc
