// Data on stdout, messages on stderr; see output.h.
#include "cli/output.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/glyphs.h"
#include "cli/jq_filter.h"
#include "flowspec/jq.h"

namespace beamline::cli {
namespace {

using Json = nlohmann::ordered_json;

// As JqProgram: deeper text is refused before a library recurses into it.
constexpr int kDepthMax = 256;

std::optional<Json> ParseJson(std::string_view text) {
  bool too_deep = false;
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  Json value = Json::parse(text, limit_depth, /*allow_exceptions=*/false);
  if (too_deep || value.is_discarded()) return std::nullopt;
  return value;
}

std::string Dump(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Whether YAML 1.1 or 1.2 would read the plain scalar `text` as something else than this text.
bool NeedsQuotes(const std::string& text) {
  for (const char* word : {"", "null", "true", "false", "yes", "no", "on", "off", "~", "=", "<<"}) {
    if (absl::EqualsIgnoreCase(text, word)) return true;
  }
  // Numbers, dates, times, versions: 017, 1:30, .5, -1, 1e3.
  return absl::ascii_isdigit(text[0]) || absl::StrContains("+-.", text.substr(0, 1));
}

// Whether `text` can stand as a block whose one last newline is part of it.
bool IsBlock(const std::string& text) {
  return absl::EndsWith(text, "\n") && !absl::EndsWith(text, "\n\n") && text.size() > 1 &&
         !absl::StrContains(text, '\r') && text[0] != ' ' && text[0] != '\n';
}

void EmitYaml(const Json& value, YAML::Emitter& yaml) {
  switch (value.type()) {
    case Json::value_t::object:
      if (value.empty()) yaml << YAML::Flow;
      yaml << YAML::BeginMap;
      for (const auto& [key, member] : value.items()) {
        yaml << YAML::Key;
        if (NeedsQuotes(key)) yaml << YAML::DoubleQuoted;
        yaml << key << YAML::Value;
        EmitYaml(member, yaml);
      }
      yaml << YAML::EndMap;
      break;
    case Json::value_t::array:
      if (value.empty()) yaml << YAML::Flow;
      yaml << YAML::BeginSeq;
      for (const Json& element : value) EmitYaml(element, yaml);
      yaml << YAML::EndSeq;
      break;
    case Json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      if (NeedsQuotes(text)) {
        yaml << YAML::DoubleQuoted;
      } else if (IsBlock(text)) {
        yaml << YAML::Literal;
      }
      yaml << text;
      break;
    }
    default:
      yaml << Dump(value, -1);  // null, true, false and numbers are the same in both
  }
}

std::string YamlText(const Json& value) {
  YAML::Emitter yaml;
  EmitYaml(value, yaml);
  std::string text = yaml.c_str();
  if (!absl::EndsWith(text, "\n")) text += '\n';
  return text;
}

std::string LinesText(const Json& value) {
  if (!value.is_array()) return absl::StrCat(Dump(value, -1), "\n");
  std::string lines;
  for (const Json& element : value) absl::StrAppend(&lines, Dump(element, -1), "\n");
  return lines;
}

std::string Formatted(Format format, const Json& value) {
  switch (format) {
    case Format::kNone:
      return "";
    case Format::kYaml:
      return YamlText(value);
    case Format::kJsonl:
      return LinesText(value);
    case Format::kText:
    case Format::kJson:
      break;
  }
  return absl::StrCat(Dump(value, 2), "\n");
}

// The results of `expression` as one JSON array. Collecting them in jq lets the whole of an
// expression be seen although a program hands out only its first result.
absl::StatusOr<std::string> JqResults(const std::string& expression, std::string_view json) {
  auto program = flowspec::JqProgram::Compile(absl::StrCat("[", expression, "\n]"));
  if (!program.ok()) return program.status();
  return (*program)->Run(json);
}

int PrintJq(const Context& context, std::string_view json) {
  const auto results = JqResults(context.jq, json);
  if (!results.ok()) {
    return Fail(context, kExitUsage, absl::StrCat("--jq: ", JqMessage(results.status())));
  }
  const std::optional<Json> values = ParseJson(*results);
  if (!values) return Fail(context, kExitUsage, "--jq: the result nests too deeply");
  const bool raw = context.format == Format::kText || context.format == Format::kJsonl;
  for (const Json& value : *values) {
    if (value.is_string() && raw) {
      context.out.Write(absl::StrCat(value.get_ref<const std::string&>(), "\n"));
    } else {
      const Format format = context.format == Format::kText ? Format::kJsonl : context.format;
      const bool whole = format == Format::kJsonl;  // one result, one line
      context.out.Write(whole ? absl::StrCat(Dump(value, -1), "\n") : Formatted(format, value));
    }
  }
  return kExitOk;
}

}  // namespace

int PrintData(const Context& context, std::string_view json) {
  if (context.format == Format::kNone) return kExitOk;
  if (!context.jq.empty()) return PrintJq(context, json);
  const std::optional<Json> value = ParseJson(json);
  if (!value)
    return Fail(context, kExitFailed, "the data to print is not JSON, or nests too deeply");
  context.out.Write(Formatted(context.format, *value));
  return kExitOk;
}

int Fail(const Context& context, int code, std::string_view message, std::string_view hint) {
  const bool color = context.err.color;
  std::string text =
      absl::StrCat(Paint(color, Ink::kRed, "error:"), " ", std::string(message), "\n");
  if (!hint.empty()) {
    absl::StrAppend(&text, Paint(color, Ink::kDim, "  = help:"), " ", std::string(hint), "\n");
  }
  context.err.Write(text);
  return code;
}

void Hint(const Context& context, std::string_view line) {
  if (context.quiet) return;
  context.err.Write(absl::StrCat(Paint(context.err.color, Ink::kDim, ForLocale(line)), "\n"));
}

void Warn(const Context& context, std::string_view message) {
  context.err.Write(absl::StrCat(Paint(context.err.color, Ink::kYellow, "warning:"), " ",
                                 std::string(message), "\n"));
}

}  // namespace beamline::cli
