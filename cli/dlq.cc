// `beamline dlq list`, `show`, `retry` and `drop`.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/bulk.h"
#include "cli/connect.h"
#include "cli/glyphs.h"
#include "cli/jq_filter.h"
#include "cli/output.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr int kLimitMax = 100'000;
constexpr int kPageMax = 1000;

using Letters = std::vector<v1::DeadLetter>;

std::string JsonOf(const v1::DeadLetter& letter) {
  std::string json =
      absl::StrCat("{\"id\":", QuoteJson(letter.id()), ",\"run\":", QuoteJson(letter.run_id()),
                   ",\"flow\":", QuoteJson(letter.flow()), ",\"step\":", QuoteJson(letter.step()),
                   ",\"kind\":", QuoteJson(letter.kind()),
                   ",\"status\":", QuoteJson(proto::StatusWord(letter.status())),
                   ",\"reason\":", QuoteJson(letter.reason()));
  if (letter.has_failure()) {
    absl::StrAppend(&json, ",\"error\":{\"kind\":", QuoteJson(letter.failure().kind()),
                    ",\"message\":", QuoteJson(letter.failure().message()));
    if (letter.failure().has_exit_code()) {
      absl::StrAppend(&json, ",\"exit_code\":", letter.failure().exit_code());
    }
    json += "}";
  }
  absl::StrAppend(&json, ",\"attempts\":", letter.attempts(),
                  ",\"retry_max\":", letter.retry_max());
  if (letter.failed_items() > 0) {
    absl::StrAppend(&json, ",\"failed_items\":", letter.failed_items());
  }
  return absl::StrCat(json, ",\"time\":", QuoteJson(TimeText(letter.time())), "}");
}

std::string ListJson(const Letters& letters) {
  std::string json = "[";
  for (const v1::DeadLetter& letter : letters) {
    absl::StrAppend(&json, json.size() > 1 ? "," : "", JsonOf(letter));
  }
  return json + "]";
}

// What the letters have to be like.
struct Selection {
  v1::ListDeadLettersRequest request;
  std::optional<JqFilter> query;
  int limit = kLimitMax;
};

// Nothing after telling what is wrong, with the exit code in `*code`.
std::optional<Selection> ReadSelection(const Arguments& arguments, const Context& context,
                                       NamedRun& run, int* code) {
  Selection selection;
  v1::ListDeadLettersRequest& request = selection.request;
  request.set_flow(arguments.Get("flow"));
  request.set_failure_kind(arguments.Get("kind"));
  request.set_status(proto::StatusFromWord(arguments.Get("status")));
  if (const std::string& name = arguments.Get("run"); !name.empty()) {
    if (!ResolveName(context, name, &run, code)) return std::nullopt;
    request.set_run_id(run.id);
  }
  if (const std::string& since = arguments.Get("since"); !since.empty()) {
    absl::StatusOr<absl::Time> time = ParseSince(since, absl::Now());
    if (!time.ok()) {
      *code = Fail(context, kExitUsage, std::string(time.status().message()));
      return std::nullopt;
    }
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(*time));
  }
  if (!ReadQuery(arguments, context, &selection.query, code)) return std::nullopt;
  return selection;
}

// Pages until the limit is reached.
absl::StatusOr<Letters> Fetch(Client& client, Selection& selection) {
  Letters letters;
  while (true) {
    const int left = selection.limit - static_cast<int>(letters.size());
    selection.request.set_page_size(selection.query ? kPageMax : std::min(left, kPageMax));
    auto page = client.ListDeadLetters(selection.request);
    if (!page.ok()) return page.status();
    for (v1::DeadLetter& letter : *page->mutable_letters()) {
      if (static_cast<int>(letters.size()) == selection.limit) break;
      if (selection.query) {
        const absl::StatusOr<bool> fits = selection.query->Fits(JsonOf(letter));
        if (!fits.ok()) return fits.status();
        if (!*fits) continue;
      }
      letters.push_back(std::move(letter));
    }
    selection.request.set_page_token(page->next_page_token());
    if (page->next_page_token().empty() || static_cast<int>(letters.size()) == selection.limit) {
      return letters;
    }
  }
}

std::string ErrorOf(const v1::DeadLetter& letter) {
  std::string text = Printable(letter.has_failure() ? letter.failure().message() : letter.reason());
  if (letter.failed_items() > 0 && !letter.has_failure()) {
    text = absl::StrCat(letter.failed_items(), " items failed");
  }
  return text;
}

Table TableOf(const Letters& letters) {
  const Glyphs& glyphs = GlyphsFor(LocaleIsUtf8());
  const absl::Time now = absl::Now();
  Table table({{.title = "ID"},
               {.title = "RUN"},
               {.title = "FLOW", .shrink = true},
               {.title = "STEP", .shrink = true},
               {.title = "STATUS"},
               {.title = "TRIES", .right = true},
               {.title = "AGE", .right = true},
               {.title = "ERROR", .shrink = true}});
  for (const v1::DeadLetter& letter : letters) {
    const Mark mark = MarkOf(letter.status(), false, glyphs);
    table.Add(
        {{letter.id()},
         {ShortId(letter.run_id())},
         {Printable(letter.flow())},
         {Printable(letter.step())},
         {absl::StrCat(std::string(mark.glyph), " ", proto::StatusWord(letter.status())), mark.ink},
         {absl::StrCat(letter.attempts(), "/", letter.retry_max())},
         {ShortDuration(now - ToTime(letter.time()))},
         {ErrorOf(letter), Ink::kDim}});
  }
  return table;
}

// The letters that a bulk is about: those named, or all that fit.
absl::StatusOr<Letters> Choose(const Arguments& arguments, Client& client, Selection& selection) {
  if (arguments.All("ID").empty()) return Fetch(client, selection);
  Letters letters;
  for (const std::string& id : arguments.All("ID")) {
    auto letter = client.GetDeadLetter(id);
    if (!letter.ok()) return letter.status();
    letters.push_back(std::move(*letter->mutable_letter()));
  }
  return letters;
}

bool HasFilter(const Arguments& arguments) {
  return arguments.Has("flow") || arguments.Has("run") || arguments.Has("status") ||
         arguments.Has("kind") || arguments.Has("since") || arguments.Has("query");
}

using Send = std::function<absl::StatusOr<std::vector<v1::DeadLetterResult>>(
    const std::vector<v1::DeadLetterRef>&)>;

// Sends the letters in portions, tells what was refused, and returns the exit code.
int Carry(const Context& context, const Letters& letters, const BulkWords& words,
          const Send& send) {
  BulkReport report(context, words);
  for (size_t begin = 0; begin < letters.size(); begin += kPageMax) {
    std::vector<v1::DeadLetterRef> refs;
    for (size_t i = begin; i < std::min(letters.size(), begin + kPageMax); ++i) {
      v1::DeadLetterRef& ref = refs.emplace_back();
      ref.set_run_id(letters[i].run_id());
      ref.set_step(letters[i].step());
    }
    const auto results = send(refs);
    if (!results.ok()) {
      report.Stopped(letters.size());
      return FailWith(context, results.status());
    }
    for (size_t i = 0; i < results->size(); ++i) {
      const v1::DeadLetterResult& result = (*results)[i];
      if (result.code() == 0) {
        report.Done();
        continue;
      }
      report.Refused(absl::StrCat(letters[begin + i].id(), "  ", ShortId(result.letter().run_id()),
                                  " ", Printable(result.letter().step())),
                     Printable(result.message()),
                     ExitCodeFor({static_cast<absl::StatusCode>(result.code()), result.message()}));
    }
  }
  const std::string id = letters.size() == 1 ? ShortId(letters[0].run_id()) : "";
  return report.Tell(
      absl::StrCat(id.empty() ? "beamline runs list" : absl::StrCat("beamline tail ", id),
                   " · beamline dlq list"));
}

// What `dlq retry` and `dlq drop` have in common; `send` gets the client.
int Bulk(const Arguments& arguments, Context& context, const BulkWords& words,
         const std::function<Send(Client&)>& make_send) {
  const bool named = !arguments.All("ID").empty();
  if (named && (arguments.On("all") || HasFilter(arguments))) {
    return Fail(context, kExitUsage,
                "name letters by their ids, or by --all and filters, not both");
  }
  if (!named && !arguments.On("all") && !HasFilter(arguments)) {
    return Fail(context, kExitUsage, absl::StrCat("nothing says which letters to ", words.verb),
                "name their ids, or say --all or --query");
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  NamedRun run{*std::move(client), ""};
  int code = kExitOk;
  std::optional<Selection> selection = ReadSelection(arguments, context, run, &code);
  if (!selection) return code;
  absl::StatusOr<Letters> letters = Choose(arguments, *run.client, *selection);
  if (!letters.ok()) return FailWith(context, letters.status());
  if (letters->empty()) {
    Hint(context, "no dead letter fits\n→ beamline dlq list");
    return kExitOk;
  }
  if (!named) {
    code = ConfirmBulk(context, words, letters->size(), [&](size_t i) {
      const v1::DeadLetter& letter = (*letters)[i];
      return absl::StrCat(letter.id(), "  ", ShortId(letter.run_id()), "  ",
                          Printable(letter.flow()), "  ", Printable(letter.step()), "  ",
                          ErrorOf(letter));
    });
    if (code != kExitOk) return code;
  }
  return Carry(context, *letters, words, make_send(*run.client));
}

template <class Response>
absl::StatusOr<std::vector<v1::DeadLetterResult>> ResultsOf(absl::StatusOr<Response> response) {
  if (!response.ok()) return response.status();
  return std::vector<v1::DeadLetterResult>(response->results().begin(), response->results().end());
}

}  // namespace

int DlqList(const Arguments& arguments, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  NamedRun run{*std::move(client), ""};
  int code = kExitOk;
  std::optional<Selection> selection = ReadSelection(arguments, context, run, &code);
  if (!selection) return code;
  if (!absl::SimpleAtoi(arguments.Get("limit"), &selection->limit) || selection->limit < 1 ||
      selection->limit > kLimitMax) {
    return Fail(context, kExitUsage, absl::StrCat("--limit is a number from 1 to ", kLimitMax));
  }
  auto letters = Fetch(*run.client, *selection);
  if (!letters.ok()) return FailWith(context, letters.status());
  if (context.wants_data()) return PrintData(context, ListJson(*letters));
  if (letters->empty()) {
    Hint(context, "no dead letters");
    return kExitOk;
  }
  TableOf(*letters).Print(context);
  Hint(context, "→ beamline dlq show ID · beamline dlq retry ID · beamline dlq drop ID");
  return kExitOk;
}

int DlqShow(const Arguments& arguments, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  auto response = (*client)->GetDeadLetter(arguments.Get("ID"));
  if (!response.ok()) return FailWith(context, response.status());
  const v1::DeadLetter& letter = response->letter();
  if (context.wants_data()) return PrintData(context, JsonOf(letter));
  const std::string run = ShortId(letter.run_id());
  context.out.Write(absl::StrCat(
      letter.id(), "  ", Printable(letter.flow()), "/", Printable(letter.step()), "  ",
      proto::StatusWord(letter.status()), "\n", "run       ", letter.run_id(), "\n", "since     ",
      TimeText(letter.time()), "\n", "reason    ", Printable(letter.reason()), "\n"));
  if (letter.has_failure()) {
    context.out.Write(absl::StrCat("error     ", Printable(letter.failure().kind()), ": ",
                                   Printable(letter.failure().message()), "\n"));
  }
  context.out.Write(absl::StrCat("attempts  ", letter.attempts(), ", of ", letter.retry_max(),
                                 " that `retry` allows\n"));
  if (letter.failed_items() > 0) {
    context.out.Write(absl::StrCat("items     ", letter.failed_items(), " failed\n"));
  }
  Hint(context, absl::StrCat("→ beamline dlq retry ", letter.id(), " · beamline skip ", run, " ",
                             Printable(letter.step()), " · beamline dlq drop ", letter.id(),
                             " · beamline why ", run, " ", Printable(letter.step())));
  return kExitOk;
}

int DlqRetry(const Arguments& arguments, Context& context) {
  return Bulk(arguments, context, {"retry", "step", "requeued"}, [&](Client& client) -> Send {
    return [&](const std::vector<v1::DeadLetterRef>& refs) {
      v1::RetryDeadLettersRequest request;
      request.set_request_id(NewRequestId());
      request.mutable_letters()->Add(refs.begin(), refs.end());
      request.set_reason(arguments.Get("reason"));
      request.set_downstream(arguments.On("downstream"));
      return ResultsOf(client.RetryDeadLetters(request));
    };
  });
}

int DlqDrop(const Arguments& arguments, Context& context) {
  return Bulk(arguments, context, {"drop", "step", "dropped"}, [&](Client& client) -> Send {
    return [&](const std::vector<v1::DeadLetterRef>& refs) {
      v1::DropDeadLettersRequest request;
      request.set_request_id(NewRequestId());
      request.mutable_letters()->Add(refs.begin(), refs.end());
      request.set_reason(arguments.Get("reason"));
      return ResultsOf(client.DropDeadLetters(request));
    };
  });
}

}  // namespace beamline::cli
