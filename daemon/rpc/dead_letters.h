// The list of dead letters, and what may be done to many of them at once.
#pragma once

#include "beamline/v1/dead_letter.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// Requests and responses live until `done` is called.
void ListDeadLetters(const Backend& backend, const v1::ListDeadLettersRequest& request,
                     v1::ListDeadLettersResponse* response, Done done);
void GetDeadLetter(const Backend& backend, const v1::GetDeadLetterRequest& request,
                   v1::GetDeadLetterResponse* response, Done done);
// Each letter is a wish of its own: what is refused is told in its result.
void RetryDeadLetters(const Backend& backend, const Caller& caller,
                      const v1::RetryDeadLettersRequest& request,
                      v1::RetryDeadLettersResponse* response, Done done);
void DropDeadLetters(const Backend& backend, const Caller& caller,
                     const v1::DropDeadLettersRequest& request,
                     v1::DropDeadLettersResponse* response, Done done);

}  // namespace beamline::rpc
