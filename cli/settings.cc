// Finds and reads the configuration; see settings.h.
#include "cli/settings.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/contexts.h"
#include "cli/places.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

struct Key {
  const char* name;
  std::string Settings::*member;
  std::vector<std::string> choices;
  bool path = false;
};

const std::vector<Key>& Keys() {
  static const auto* const kKeys = new std::vector<Key>{
      {"context", &Settings::context, {}},
      {"output", &Settings::output, {"text", "json", "jsonl", "yaml", "none"}},
      {"color", &Settings::color, {"auto", "always", "never"}},
      {"data_dir", &Settings::data_dir, {}, true},
      {"socket", &Settings::socket, {}, true},
  };
  return *kKeys;
}

std::string Variable(const char* name) { return ProcessEnvironment()(name); }

// `path` from the file or flag that said it; relative to `base`.
std::string Absolute(const std::string& path, const fs::path& base) {
  if (path.empty()) return "";
  if (path.starts_with("~/")) return Variable("HOME") + path.substr(1);
  return AbsolutePath((base / path).string());
}

std::string CurrentDirectory() {
  std::error_code error;
  const fs::path path = fs::current_path(error);
  return error ? "/" : path.string();
}

const Key* FindKey(std::string_view name) {
  for (const Key& key : Keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string HintFor(const std::string& word, const std::vector<std::string>& choices) {
  const std::string near = flowspec::DidYouMean(word, choices);
  return near.empty() ? absl::StrCat("it is one of ", absl::StrJoin(choices, ", "))
                      : absl::StrCat("did you mean `", near, "`?");
}

std::vector<std::string> KeyNames() {
  std::vector<std::string> names;
  for (const Key& key : Keys()) names.push_back(key.name);
  return names;
}

// What is wrong with one entry of the file (without its place), else its value put in `settings`.
std::optional<SettingsError> ReadEntry(const flowspec::Node& name, const flowspec::Node& value,
                                       const std::string& path, Settings* settings) {
  const Key* key = FindKey(name.text);
  if (key == nullptr) {
    const bool misspelt = !flowspec::DidYouMean(name.text, KeyNames()).empty();
    return SettingsError{absl::StrCat("unknown key `", name.text, "`"),
                         absl::StrCat(HintFor(name.text, KeyNames()),
                                      misspelt ? "" : "; the daemon's are in beamlined.yaml")};
  }
  if (!value.is_string()) return SettingsError{absl::StrCat("`", key->name, "` must be text"), ""};
  if (!key->choices.empty() &&
      std::find(key->choices.begin(), key->choices.end(), value.text) == key->choices.end()) {
    return SettingsError{absl::StrCat("`", key->name, "` cannot be `", value.text, "`"),
                         HintFor(value.text, key->choices)};
  }
  std::string& member = settings->*key->member;
  if (member.empty()) {
    member = key->path ? Absolute(value.text, fs::path(path).parent_path()) : value.text;
  }
  return std::nullopt;
}

std::optional<SettingsError> ReadSettingsFile(const std::string& path, bool must_exist,
                                              Settings* settings) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (!must_exist) return std::nullopt;
    return SettingsError{absl::StrCat("cannot read the configuration ", path), ""};
  }
  std::string text(std::istreambuf_iterator<char>(file), {});
  return ReadSettings(text, path, settings);
}

Settings FromFlagsAndEnvironment(const Arguments& arguments) {
  Settings settings;
  const std::pair<const char*, std::string Settings::*> flags[] = {
      {"context", &Settings::context},
      {"output", &Settings::output},
      {"color", &Settings::color},
      {"data-dir", &Settings::data_dir},
      {"socket", &Settings::socket}};
  for (const auto& [flag, member] : flags) settings.*member = arguments.Get(flag);

  const std::pair<const char*, std::string Settings::*> variables[] = {
      {"BEAMLINE_CONTEXT", &Settings::context},
      {"BEAMLINE_DATA_DIR", &Settings::data_dir},
      {"BEAMLINE_SOCKET", &Settings::socket}};
  for (const auto& [variable, member] : variables) {
    if ((settings.*member).empty()) settings.*member = Variable(variable);
  }
  if (settings.color.empty()) {
    const std::string force = Variable("CLICOLOR_FORCE");
    if (!force.empty() && force != "0") settings.color = "always";
    if (!Variable("NO_COLOR").empty()) settings.color = "never";
  }
  settings.data_dir = Absolute(settings.data_dir, CurrentDirectory());
  settings.socket = Absolute(settings.socket, CurrentDirectory());
  return settings;
}

std::optional<SettingsError> FromFiles(const Arguments& arguments, const std::string& chosen,
                                       Settings* settings) {
  const std::string project = FindProjectFile(CurrentDirectory());
  if (!project.empty()) {
    if (auto error = ReadSettingsFile(project, true, settings)) return error;
  }
  if (settings->context.empty() && settings->socket.empty() && settings->data_dir.empty()) {
    settings->context = chosen;
  }
  std::string user = arguments.Get("config");
  if (user.empty()) user = Variable("BEAMLINE_CONFIG");
  if (!user.empty()) return ReadSettingsFile(Absolute(user, CurrentDirectory()), true, settings);
  return ReadSettingsFile(ConfigDir(ProcessEnvironment()) + "/config.yaml", false, settings);
}

void ResolveStreams(const std::string& color, Context* context) {
  context->in_tty = isatty(STDIN_FILENO) == 1;
  context->out.tty = isatty(STDOUT_FILENO) == 1;
  context->err.tty = isatty(STDERR_FILENO) == 1;
  const bool dumb = Variable("TERM") == "dumb";
  for (Stream* stream : {&context->out, &context->err}) {
    stream->color = color == "always" || (color != "never" && stream->tty && !dumb);
  }
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (isatty(fd) == 1 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      context->width = size.ws_col;
      break;
    }
  }
}

// Where the context's daemon is found. What was said wins over places.h's defaults; a data
// directory of one's own has its socket inside, so that it never meets the daemon of another
// directory.
std::optional<SettingsError> ResolvePlaces(const Settings& settings, Context* context) {
  if (!settings.context.empty()) context->context = settings.context;
  const Environment said = [&](const char* name) -> std::string {
    const std::string_view variable = name;
    if (variable == "BEAMLINE_DATA_DIR") return settings.data_dir;
    if (variable != "BEAMLINE_SOCKET") return Variable(name);
    if (!settings.socket.empty() || settings.data_dir.empty()) return settings.socket;
    return settings.data_dir + "/beamlined.sock";
  };
  const absl::StatusOr<std::string> data_dir = DataDir(context->context, said);
  if (!data_dir.ok()) return SettingsError{std::string(data_dir.status().message()), ""};
  const absl::StatusOr<std::string> socket = SocketPath(context->context, said);
  if (!socket.ok()) return SettingsError{std::string(socket.status().message()), ""};
  context->data_dir = *data_dir;
  context->socket = *socket;
  return std::nullopt;
}

// Who said which daemon is meant, strongest first: flags, environment, files.
enum class Said { kFlag, kVariable, kFile, kNobody };

Said SaidOf(const Arguments& arguments, std::initializer_list<const char*> flags,
            std::initializer_list<const char*> variables, bool said) {
  for (const char* flag : flags) {
    if (arguments.Has(flag)) return Said::kFlag;
  }
  for (const char* variable : variables) {
    if (!Variable(variable).empty()) return Said::kVariable;
  }
  return said ? Said::kFile : Said::kNobody;
}

// Whether the context that is meant is a remote one. A socket or data directory means a daemon of
// this machine, unless the context was said by something stronger.
std::optional<SettingsError> ResolveRemote(const Arguments& arguments, const Settings& settings,
                                           const Contexts& contexts, Context* context) {
  const auto found = contexts.remotes.find(settings.context);
  if (found == contexts.remotes.end()) return std::nullopt;
  const Said name = SaidOf(arguments, {"context"}, {"BEAMLINE_CONTEXT"}, !settings.context.empty());
  const Said place =
      SaidOf(arguments, {"socket", "data-dir"}, {"BEAMLINE_SOCKET", "BEAMLINE_DATA_DIR"},
             !settings.socket.empty() || !settings.data_dir.empty());
  if (name == Said::kFlag && place == Said::kFlag) {
    return SettingsError{absl::StrCat("the context `", found->first,
                                      "` is a daemon elsewhere, which has no socket or data "
                                      "directory here"),
                         "leave out --context, or --socket and --data-dir"};
  }
  if (name <= place) context->remote = found->second;
  return std::nullopt;
}

Format FormatOf(const std::string& name) {
  if (name == "json") return Format::kJson;
  if (name == "jsonl") return Format::kJsonl;
  if (name == "yaml") return Format::kYaml;
  return name == "none" ? Format::kNone : Format::kText;
}

}  // namespace

std::optional<SettingsError> ReadSettings(std::string_view text, const std::string& path,
                                          Settings* settings) {
  const flowspec::LineTable lines(text);
  const auto at = [&](const flowspec::Span& span, SettingsError error) {
    error.message = absl::StrCat(path, ":", span.line, ":", span.column, ": ", error.message);
    return error;
  };
  flowspec::Findings findings;
  const flowspec::NodePtr root = flowspec::ParseYaml(text, lines, &findings);
  for (const flowspec::Finding& finding : findings) {
    if (finding.code == "BL0004") return std::nullopt;  // the file is empty
    return at(finding.span, {finding.message, finding.help});
  }
  if (root == nullptr || root->kind == flowspec::Node::Kind::kNull) return std::nullopt;
  if (!root->is_map()) return at({1, 1, 0}, {"the configuration must be a map of keys", ""});
  for (const auto& [name, value] : root->entries) {
    if (auto error = ReadEntry(*name, *value, path, settings)) {
      return at(flowspec::SpanOf(*name, text, lines), *error);
    }
  }
  return std::nullopt;
}

std::string FindProjectFile(const std::string& directory) {
  for (fs::path at = directory;; at = at.parent_path()) {
    std::string candidate = (at / ".beamline.yaml").string();
    struct stat info;
    if (stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        (info.st_uid == geteuid() || info.st_uid == 0)) {
      return candidate;
    }
    if (!at.has_relative_path()) return "";
  }
}

std::optional<SettingsError> ResolveContext(const Arguments& arguments, Context* context) {
  Settings settings = FromFlagsAndEnvironment(arguments);
  absl::StatusOr<Contexts> contexts = ReadContexts(ContextsPath(ProcessEnvironment()));
  std::optional<SettingsError> error;
  if (!contexts.ok()) {
    error = {std::string(contexts.status().message()), ""};
    contexts.emplace();
  }
  std::optional<SettingsError> misread = FromFiles(arguments, contexts->current, &settings);
  if (!error) error = misread;
  if (!error) error = ResolveRemote(arguments, settings, *contexts, context);
  ResolveStreams(settings.color, context);
  context->format = FormatOf(settings.output);
  context->jq = arguments.Get("jq");
  context->quiet = arguments.On("quiet");
  context->yes = arguments.On("yes");
  context->no_input = arguments.On("no-input");
  std::optional<SettingsError> misplaced = ResolvePlaces(settings, context);
  return error ? error : misplaced;
}

}  // namespace beamline::cli
