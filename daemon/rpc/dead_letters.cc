// A bulk of wishes goes to the engine a few at a time, so that whoever else asks is heard between.
#include "daemon/rpc/dead_letters.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/intervene.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/page.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/wire_time.h"

namespace beamline::rpc {
namespace {

constexpr int kLettersMax = 1000;
// What is in flight together, the start of a run waits for: 32 are retried at 8,000/s and make the
// p99 of starts 3.5 times as long, 16 at 6,600/s and 2.6 times.
constexpr size_t kInFlightMax = 16;

void Tell(const ports::DeadLetterRow& row, v1::DeadLetter* letter) {
  letter->set_id(absl::StrCat("d", row.number));
  letter->set_run_id(row.run.ToString());
  letter->set_flow(row.flow_name);
  letter->set_step(row.letter.path);
  letter->set_kind(row.letter.kind);
  letter->set_status(row.letter.parked ? v1::STATUS_PARKED : v1::STATUS_FAILED);
  letter->set_reason(row.letter.reason);
  if (!row.letter.error.ok()) {
    v1::Failure* failure = letter->mutable_failure();
    failure->set_kind(row.letter.error.kind);
    failure->set_message(row.letter.error.message);
    if (row.letter.error.exit_code >= 0) failure->set_exit_code(row.letter.error.exit_code);
  }
  letter->set_attempts(row.letter.attempts);
  letter->set_retry_max(row.letter.attempts_max);
  letter->set_failed_items(row.letter.items_failed);
  SetTime(row.letter.at, letter->mutable_time());
}

// The number in "d17"; 0 if it is none.
uint64_t NumberOf(absl::string_view id) {
  uint64_t number = 0;
  return absl::ConsumePrefix(&id, "d") && absl::SimpleAtoi(id, &number) ? number : 0;
}

absl::StatusOr<ports::DeadLetterQuery> QueryOf(const v1::ListDeadLettersRequest& request) {
  ports::DeadLetterQuery query{.tenant = kTenant, .flow_name = request.flow()};
  if (!request.run_id().empty()) {
    query.run = run::RunId::Parse(request.run_id());
    if (!query.run) return RunNotFound(request.run_id());
  }
  if (request.status() != v1::STATUS_UNSPECIFIED) {
    query.parked = request.status() == v1::STATUS_PARKED;
    if (!*query.parked && request.status() != v1::STATUS_FAILED) {
      return InvalidField("status", "a dead letter has failed or is parked");
    }
  }
  query.error_kind = request.failure_kind();
  if (request.has_since()) query.since = absl::FromUnixSeconds(request.since().seconds());
  const absl::StatusOr<int> size = PageSize(request.page_size());
  if (!size.ok()) return size.status();
  query.limit = *size;
  const absl::StatusOr<std::string> cursor = Cursor(request.page_token());
  if (!cursor.ok()) return cursor.status();
  query.before = NumberOf(*cursor);
  if (!cursor->empty() && query.before == 0) return InvalidPageToken();
  return query;
}

absl::Status List(const Backend& backend, const v1::ListDeadLettersRequest& request,
                  v1::ListDeadLettersResponse* response) {
  absl::StatusOr<ports::DeadLetterQuery> query = QueryOf(request);
  if (!query.ok()) return query.status();
  const auto wanted = static_cast<size_t>(query->limit++);  // one more tells whether there is more
  auto rows = backend.events.ListDeadLetters(*query);
  if (!rows.ok()) return rows.status();
  const bool more = rows->size() > wanted;
  if (more) rows->resize(wanted);
  for (const ports::DeadLetterRow& row : *rows) Tell(row, response->add_letters());
  if (more) response->set_next_page_token(PageToken(absl::StrCat("d", rows->back().number)));
  return absl::OkStatus();
}

// Carries out one wish for each letter, at most kInFlightMax at a time.
class Bulk : public std::enable_shared_from_this<Bulk> {
 public:
  using Letters = google::protobuf::RepeatedPtrField<v1::DeadLetterRef>;
  using Results = google::protobuf::RepeatedPtrField<v1::DeadLetterResult>;
  using Wish = std::function<run::Wish(const v1::DeadLetterRef&)>;

  Bulk(const Backend& backend, std::string actor, const Letters& letters, Results* results,
       Wish wish, Done done)
      : backend_(backend),
        actor_(std::move(actor)),
        letters_(letters),
        results_(results),
        wish_(std::move(wish)),
        done_(std::move(done)) {
    for (const v1::DeadLetterRef& letter : letters) *results_->Add()->mutable_letter() = letter;
  }

  void Begin() {
    for (size_t i = 0; i < kInFlightMax; ++i) {
      if (!Next()) break;
    }
    Finish(0);
  }

 private:
  // Hands the next letter over; false if there is none left.
  bool Next() {
    while (true) {
      int index = 0;
      {
        ports::MutexLock lock(&mu_);
        if (next_ == letters_.size()) return false;
        index = next_++;
        ++in_flight_;
      }
      const v1::DeadLetterRef& letter = letters_.Get(index);
      if (const std::optional<run::RunId> id = run::RunId::Parse(letter.run_id()); id) {
        backend_.engine.Intervene(*id, actor_, wish_(letter),
                                  [self = shared_from_this(), index](const absl::Status& status) {
                                    self->Note(index, status);
                                    self->Next();
                                    self->Finish(1);
                                  });
        return true;
      }
      Note(index, absl::NotFoundError("no run has this id"));
      Finish(1);
    }
  }

  void Note(int index, const absl::Status& status) {
    if (status.ok()) return;
    const v1::DeadLetterRef& letter = letters_.Get(index);
    const absl::Status refusal = Explain(RefuseWish(status, letter.run_id(), letter.step()));
    v1::DeadLetterResult* result = results_->Mutable(index);
    result->set_code(static_cast<int>(refusal.code()));
    result->set_reason(ReasonOf(refusal));
    result->set_message(std::string(refusal.message()));
  }

  // `count` wishes have come to their end; the last one answers the call.
  void Finish(int count) {
    {
      ports::MutexLock lock(&mu_);
      in_flight_ -= count;
      if (in_flight_ > 0 || next_ < letters_.size() || over_) return;
      over_ = true;
    }
    backend_.answers.Do([self = shared_from_this()] { self->done_(absl::OkStatus()); });
  }

  const Backend& backend_;
  const std::string actor_;
  const Letters& letters_;
  Results* const results_;
  const Wish wish_;
  const Done done_;
  ports::Mutex mu_;
  int next_ ABSL_GUARDED_BY(mu_) = 0;
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
};

template <class Request>
absl::Status CheckBulk(const Request& request) {
  if (request.letters_size() > kLettersMax) {
    return InvalidField("letters", absl::StrCat("at most ", kLettersMax, " in one request"));
  }
  return CheckWish(request.request_id(), request.reason());
}

// Of one letter of a request; an empty request id stays empty.
template <class Request>
run::Intervention WhyOf(const Request& request, const v1::DeadLetterRef& letter, const char* verb,
                        bool downstream) {
  const std::string id =
      request.request_id().empty()
          ? ""
          : absl::StrCat(request.request_id(), "/", letter.run_id(), "/", letter.step());
  return InterventionOf(id, request.reason(), {verb, letter.step(), downstream ? "d" : ""});
}

}  // namespace

void ListDeadLetters(const Backend& backend, const v1::ListDeadLettersRequest& request,
                     v1::ListDeadLettersResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    done(List(backend, request, response));
  });
}

void GetDeadLetter(const Backend& backend, const v1::GetDeadLetterRequest& request,
                   v1::GetDeadLetterResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    const auto row = backend.events.GetDeadLetter(kTenant, NumberOf(request.id()));
    if (absl::IsNotFound(row.status())) {
      const std::string shown = request.id().substr(0, 64);
      return done(
          Refusal(Reason::kDeadLetterNotFound,
                  absl::StrCat("no dead letter has the id `", shown, "`; it may have been seen to"))
              .Resource("dead letter", shown));
    }
    if (row.ok()) Tell(*row, response->mutable_letter());
    done(row.status());
  });
}

void RetryDeadLetters(const Backend& backend, const Caller& caller,
                      const v1::RetryDeadLettersRequest& request,
                      v1::RetryDeadLettersResponse* response, Done done) {
  if (absl::Status checked = CheckBulk(request); !checked.ok()) return done(checked);
  const auto wish = [&request](const v1::DeadLetterRef& letter) -> run::Wish {
    return run::RetryStep{WhyOf(request, letter, "retry", request.downstream()), letter.step(),
                          request.downstream()};
  };
  std::make_shared<Bulk>(backend, caller.actor, request.letters(), response->mutable_results(),
                         wish, std::move(done))
      ->Begin();
}

void DropDeadLetters(const Backend& backend, const Caller& caller,
                     const v1::DropDeadLettersRequest& request,
                     v1::DropDeadLettersResponse* response, Done done) {
  if (absl::Status checked = CheckBulk(request); !checked.ok()) return done(checked);
  const auto wish = [&request](const v1::DeadLetterRef& letter) -> run::Wish {
    return run::DropStep{WhyOf(request, letter, "drop", false), letter.step()};
  };
  std::make_shared<Bulk>(backend, caller.actor, request.letters(), response->mutable_results(),
                         wish, std::move(done))
      ->Begin();
}

}  // namespace beamline::rpc
