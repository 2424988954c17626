// The daemon's log: one JSON object a line on standard error.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace beamline::daemon {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
// "debug", "info", "warn" or "error".
std::optional<LogLevel> ParseLogLevel(std::string_view word);

// A field of a line, as JSON; an empty text is left out. Field names are ours: run_id, flow_id,
// step_id, trace_id, … Neither secrets nor inputs nor what steps print may become one.
struct LogField {
  LogField(const char* name, std::string_view text);
  LogField(const char* name, const std::string& text) : LogField(name, std::string_view(text)) {}
  LogField(const char* name, const char* text) : LogField(name, std::string_view(text)) {}
  LogField(const char* name, int64_t number);

  const char* name;
  std::string json;
};

// Lines below `level` are dropped from here on. Before anything is logged.
void StartLog(LogLevel level);
bool Logs(LogLevel level);
// Thread-safe; on standard error when it returns.
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace beamline::daemon
