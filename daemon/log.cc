// spdlog behind our own few functions: its headers cost seconds.
#include "daemon/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "flowspec/yaml.h"

namespace beamline::daemon {
namespace {

constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                 spdlog::level::warn, spdlog::level::err};
constexpr const char* kNames[] = {"debug", "info", "warn", "error"};

spdlog::logger& Logger() {
  static auto* logger =
      new spdlog::logger("beamlined", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return *logger;
}

std::string Quote(std::string_view text) {
  std::string json;
  flowspec::AppendJsonString(text, &json);
  return json;
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view word) {
  for (int i = 0; i < 4; ++i) {
    if (word == kNames[i]) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

LogField::LogField(const char* field, std::string_view text) : name(field), json(Quote(text)) {}
LogField::LogField(const char* field, int64_t number) : name(field), json(absl::StrCat(number)) {}

void StartLog(LogLevel level) {
  Logger().set_level(kLevels[static_cast<int>(level)]);
  Logger().set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v}", spdlog::pattern_time_type::utc));
}

bool Logs(LogLevel level) { return Logger().should_log(kLevels[static_cast<int>(level)]); }

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!Logs(level)) return;
  std::string line =
      absl::StrCat("\"level\":\"", kNames[static_cast<int>(level)], "\",\"msg\":", Quote(message));
  for (const LogField& field : fields) {
    if (field.json != "\"\"") absl::StrAppend(&line, ",\"", field.name, "\":", field.json);
  }
  Logger().log(kLevels[static_cast<int>(level)], spdlog::string_view_t(line));
}

}  // namespace beamline::daemon
