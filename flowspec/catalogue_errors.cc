// Every kind of error, as a table.
#include "flowspec/catalogue.h"

namespace beamline::flowspec {
namespace {

constexpr ErrorKindEntry kErrorKinds[] = {
    // Of every kind of step.
    {"timeout", "It took longer than `timeout`, or the other side was silent for five minutes."},
    {"deadline", "All its attempts together took longer than `deadline`."},
    {"stopped", "It was asked to end."},
    {"unknown", "It was interrupted; how far it got is not known."},
    {"input", "What the expressions came to is nothing that the step can begin with."},
    {"output", "What came back is too large, or is not what it says it is."},
    {"schema", "The output is not what `outputs` or `schema` says."},
    {"secret", "The value of a secret is missing."},
    {"limit", "A value is over a limit of the daemon."},
    {"expression", "An expression failed; it would fail again and is never retried."},
    {"items", "What `foreach.items` or an axis came to is no list, or two items have one key."},
    {"concurrency", "Its place is taken, and `concurrency` says `overflow: reject`."},
    {"fail", "A `fail` step; never retried."},
    // Of people.
    {"rejected", "A person said no to an `approve` step."},
    {"expired", "Nobody decided in time, and silence is a no."},
    {"budget", "A `budget` has too little left for another attempt; none was made."},
    // Of processes.
    {"exit", "The process ended with an exit code that is not 0; `exit:N` names one code."},
    {"spawn", "The process could not be started."},
    {"artifact", "An artifact is missing or could not be kept."},
    // Of requests.
    {"unavailable",
     "The server was not reached or broke off, or it answered 502, 503 or 504. A host without an "
     "address and a refused connection belong here."},
    {"rate", "The server wants fewer requests: it answered 429."},
    {"http:N", "The server answered with the status N, which `expect` does not list."},
    {"http", "Any `http:N`."},
    {"redirect", "A redirect that is not followed: too many, or from https to http."},
    {"refused", "The daemon may not connect to this address; see `http_allow` in beamlined(8)."},
    {"tls", "The server could not prove who it is."},
    // Of sub-flows, signals and workers.
    {"flow", "The flow that is used is not here, or cannot run."},
    {"inputs", "The flow that is used does not take these inputs."},
    {"depth", "Flows use each other more than 16 deep."},
    {"signal", "No run took the signal."},
    {"worker", "No worker takes the step, or one has failed without saying how."},
    // Of models.
    {"overloaded", "The provider has too much to do."},
    {"quota", "What was paid for is used up. Not retried unless `match` names it."},
    {"auth", "The provider does not know the key. Not retried unless `match` names it."},
    {"permission", "The key may not do this. Not retried unless `match` names it."},
    {"not_found",
     "There is no such route, provider or model. Not retried unless `match` names it."},
    {"unsupported",
     "The model cannot do what the step asks for. Not retried unless `match` names it."},
    {"context", "The question is too long for the model. Not retried unless `match` names it."},
    {"too_large", "The request has too many bytes. Not retried unless `match` names it."},
    {"length", "The answer was cut at `max_tokens`. Not retried unless `match` names it."},
    {"filtered", "The provider withheld question or answer. Not retried unless `match` names it."},
    {"refusal", "The model refused to answer. Not retried unless `match` names it."},
    {"provider",
     "The provider failed and says that asking again is of no use. Not retried unless `match` "
     "names "
     "it."},
};

}  // namespace

absl::Span<const ErrorKindEntry> ErrorKinds() { return kErrorKinds; }

}  // namespace beamline::flowspec
