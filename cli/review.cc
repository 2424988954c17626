// `beamline review`: a task on the screen, and keys that decide.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/glyphs.h"
#include "cli/inbox.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/prompt.h"
#include "cli/review_text.h"
#include "cli/run_name.h"
#include "cli/screen.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "flowspec/json_text.h"
#include "flowspec/parse.h"
#include "flowspec/value_schema.h"

namespace beamline::cli {
namespace {

constexpr int kLinesShown = 30;
constexpr size_t kPayloadBytesMax = 64 * 1024;

// Runs `command` with sh, with `argument` as its $1, on this terminal. False: it did not end well.
bool RunOnTerminal(const std::string& command, const std::string& argument) {
  std::string script = absl::StrCat(command, " \"$1\"");
  std::string sh = "sh", dash_c = "-c", name = "beamline", file = argument;
  char* argv[] = {sh.data(), dash_c.data(), script.data(), name.data(), file.data(), nullptr};
  pid_t child = -1;
  if (posix_spawnp(&child, "sh", nullptr, nullptr, argv, environ) != 0) return false;
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A file that is gone when this is.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& text) {
    const std::string base = ProcessEnvironment()("TMPDIR");
    path_ = absl::StrCat(base.empty() ? "/tmp" : base, "/beamline-review-XXXXXX.json");
    const int fd = mkstemps(path_.data(), 5);
    if (fd < 0) return;
    FdWriter writer(fd);
    writer.Write(text);
    made_ = writer.error() == 0;
    close(fd);
  }
  ~ScratchFile() {
    if (made_) unlink(path_.c_str());
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  bool made() const { return made_; }
  const std::string& path() const { return path_; }
  std::string Read() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

 private:
  std::string path_;
  bool made_ = false;
};

class Reviewer {
 public:
  Reviewer(const Context& context, NamedTask named)
      : context_(context), client_(*named.client), owned_(std::move(named)) {
    Take(std::move(owned_.task), owned_.flow_source);
  }

  int Print() {
    const BlobReader blobs = Blobs();
    if (context_.wants_data()) return PrintData(context_, TaskJson(task_, blobs));
    context_.out.Write(Text(context_.out, 0));
    HintNext();
    return kExitOk;
  }

  // Until something was decided, or it was left alone.
  int Ask() {
    Show();
    while (true) {
      switch (NextKey()) {
        case 'a':
          if (auto code = Send(v1::VERDICT_APPROVE, "")) return *code;
          break;
        case 'c':
          if (auto comment = Comment("what is to be changed: ")) {
            if (auto code = Send(v1::VERDICT_REQUEST_CHANGES, *comment)) return *code;
          }
          break;
        case 'r':
          if (auto comment = Comment("why not (Enter: no reason): ")) {
            if (auto code = Send(v1::VERDICT_REJECT, *comment)) return *code;
          }
          break;
        case 'e':
          Edit();
          break;
        case 'v':
          View();
          break;
        case 'q':
          Hint(context_, absl::StrCat("nothing was decided\n→ beamline review ", name()));
          return kExitWaiting;
        default:
          break;
      }
    }
  }

 private:
  std::string name() const { return NameOf(task_.summary().task()); }
  BlobReader Blobs() { return BlobsOf(client_, task_.summary().run_id()); }

  void Take(v1::Task task, const std::string& flow_source) {
    task_ = std::move(task);
    flow_ = flowspec::ParseFlow(flow_source, {.compile_expressions = false}).flow;
    payload_.clear();
  }

  std::string Text(const Stream& stream, int lines_max) {
    ReviewOptions options{stream.color, context_.width, absl::Now(), lines_max};
    return ReviewText(task_, flow_.get(), Blobs(), options);
  }

  void HintNext() {
    if (task_.summary().state() != v1::TASK_STATE_OPEN) return;
    if (!task_.refusal().empty()) return Hint(context_, Printable(task_.refusal()));
    const std::string round = absl::StrCat(name(), " --round ", task_.summary().round());
    Hint(context_, absl::StrCat("→ beamline approve ", round, task_.own() ? " --allow-self" : "",
                                " · request-changes ", round, " -m \"…\" · reject ", round));
  }

  void Show() {
    context_.err.Write(Text(context_.err, kLinesShown));
    if (!payload_.empty())
      context_.err.Write(absl::StrCat("filled in: ", Printable(payload_), "\n"));
    if (task_.summary().state() != v1::TASK_STATE_OPEN) {
      Warn(context_, absl::StrCat(name(), " is ", StateWord(task_.summary().state())));
    } else if (!task_.refusal().empty()) {
      Warn(context_, Printable(task_.refusal()));
    }
    context_.err.Write("[a]pprove  [c]hanges  [r]eject  [e]dit  [v]iew full  [q]uit\n");
  }

  // A key, in lower case; 'q' on Ctrl-C and at the end of the terminal.
  char NextKey() {
    SignalPipe signals;
    KeyInput keys;
    if (keys.fd() < 0) return 'q';
    while (true) {
      pollfd fds[] = {{signals.fd(), POLLIN, 0}, {keys.fd(), POLLIN, 0}};
      poll(fds, 2, -1);
      while (const int signal = signals.Take()) {
        if (signal == SIGTSTP) {
          keys.Suspend();
          signals.StopProcess();
          keys.Resume();
        } else if (signal != SIGWINCH) {
          return 'q';
        }
      }
      if ((fds[1].revents & (POLLHUP | POLLERR)) != 0) return 'q';
      if (const char key = keys.Take()) {
        return static_cast<char>(key >= 'A' && key <= 'Z' ? key - 'A' + 'a' : key);
      }
    }
  }

  std::optional<std::string> Comment(const char* question) { return cli::Ask(context_, question); }

  // Nothing: it was not decided, and stays on the screen.
  std::optional<int> Send(v1::Verdict verdict, const std::string& comment) {
    v1::DecideTaskRequest request;
    request.set_request_id(NewRequestId());
    request.set_task(task_.summary().task());
    request.set_verdict(verdict);
    request.set_digest(task_.summary().digest());
    request.set_round(task_.summary().round());
    request.set_comment(comment);
    if (verdict == v1::VERDICT_APPROVE) request.set_payload(payload_);
    if (task_.own() && task_.refusal().empty()) {
      const auto sure = cli::Ask(context_, "you have started this run: decide it yourself? [y/N] ");
      if (!sure || (*sure != "y" && *sure != "yes")) return std::nullopt;
      request.set_allow_self(true);
    }
    const int code = SendDecision(context_, client_, task_.summary(), request);
    if (code == kExitOk) return code;
    auto fresh = client_.GetTask(task_.summary().task());
    if (!fresh.ok()) return code;
    const v1::TaskState state = fresh->task().summary().state();
    if (state != v1::TASK_STATE_OPEN) return code;
    if (fresh->task().summary().digest() != task_.summary().digest()) {
      Take(std::move(*fresh->mutable_task()), fresh->flow_source());
      Show();
    }
    return std::nullopt;
  }

  // What is filled in, in the person's editor, until it fits or is left as it was.
  void Edit() {
    if (task_.form().empty()) return Warn(context_, "the task has no form: nothing to fill in");
    const Environment environment = ProcessEnvironment();
    std::string editor = environment("VISUAL");
    if (editor.empty()) editor = environment("EDITOR");
    if (editor.empty()) editor = "vi";
    std::string text = !payload_.empty()     ? payload_ + "\n"
                       : task_.has_payload() ? ShownText(task_.payload(), nullptr)
                                             : std::string("{}\n");
    ScratchFile file(text);
    if (!file.made() || !RunOnTerminal(editor, file.path())) {
      return Warn(context_, absl::StrCat("`", editor, "` did not end well; nothing was changed"));
    }
    text = file.Read();
    if (text.size() > kPayloadBytesMax || !flowspec::CheckJson(text).ok()) {
      return Warn(context_, "that is not one JSON value of at most 64 KiB; nothing was changed");
    }
    const std::vector<std::string> problems = flowspec::CheckValue(task_.form(), text);
    if (!problems.empty()) {
      return Warn(context_, absl::StrCat("it does not fit the form: ",
                                         Printable(absl::StrJoin(problems, "; "))));
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    payload_ = std::move(text);
    Show();
  }

  void View() {
    std::string pager = ProcessEnvironment()("PAGER");
    if (pager.empty()) pager = "less";
    const std::string text =
        absl::StrCat(Text(Stream{}, 0), "\n", ShownText(task_.show(), Blobs()));
    ScratchFile file(text);
    if (!file.made() || !RunOnTerminal(pager, file.path())) context_.err.Write(text);
    Show();
  }

  const Context& context_;
  Client& client_;
  NamedTask owned_;
  v1::Task task_;
  std::shared_ptr<const flowspec::Flow> flow_;
  std::string payload_;  // edited here, not sent yet
};

}  // namespace

int Review(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  std::optional<NamedTask> named = NameTask(arguments, context, &code);
  if (!named) return code;
  const bool ask = context.may_ask() && context.out.tty && !context.wants_data() &&
                   named->task.summary().state() == v1::TASK_STATE_OPEN;
  Reviewer reviewer(context, *std::move(named));
  return ask ? reviewer.Ask() : reviewer.Print();
}

}  // namespace beamline::cli
