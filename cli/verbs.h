// The handlers of all commands. Each verb has a file of its own.
#pragma once

#include "cli/command.h"

namespace beamline::cli {

// Runs (through the daemon).
int RunFlow(const Arguments& arguments, Context& context);
int Submit(const Arguments& arguments, Context& context);
int RunsList(const Arguments& arguments, Context& context);
int RunsShow(const Arguments& arguments, Context& context);
int RunsDiff(const Arguments& arguments, Context& context);
int RunsExport(const Arguments& arguments, Context& context);
int RunsRemove(const Arguments& arguments, Context& context);
int Tail(const Arguments& arguments, Context& context);
int Wait(const Arguments& arguments, Context& context);
int Cancel(const Arguments& arguments, Context& context);
int Resume(const Arguments& arguments, Context& context);
int Signal(const Arguments& arguments, Context& context);
int Why(const Arguments& arguments, Context& context);

// What failed or is stuck (through the daemon).
int RetryCommand(const Arguments& arguments, Context& context);
int ReplayCommand(const Arguments& arguments, Context& context);
int SkipCommand(const Arguments& arguments, Context& context);
int PauseCommand(const Arguments& arguments, Context& context);
int Top(const Arguments& arguments, Context& context);
int DlqList(const Arguments& arguments, Context& context);
int DlqShow(const Arguments& arguments, Context& context);
int DlqRetry(const Arguments& arguments, Context& context);
int DlqDrop(const Arguments& arguments, Context& context);
// Tasks for people (through the daemon).
int Inbox(const Arguments& arguments, Context& context);
int InboxDelegate(const Arguments& arguments, Context& context);
int Review(const Arguments& arguments, Context& context);
int Approve(const Arguments& arguments, Context& context);
int Reject(const Arguments& arguments, Context& context);
int RequestChanges(const Arguments& arguments, Context& context);
int Respond(const Arguments& arguments, Context& context);

// Registered flows (through the daemon).
int FlowRegister(const Arguments& arguments, Context& context);
int FlowList(const Arguments& arguments, Context& context);
int FlowShow(const Arguments& arguments, Context& context);
int FlowTest(const Arguments& arguments, Context& context);
int FlowDiff(const Arguments& arguments, Context& context);
int FlowRemove(const Arguments& arguments, Context& context);

// The daemon itself.
int DaemonStart(const Arguments& arguments, Context& context);
int DaemonStop(const Arguments& arguments, Context& context);
int DaemonStatus(const Arguments& arguments, Context& context);
int DaemonLogs(const Arguments& arguments, Context& context);
int DaemonInitTls(const Arguments& arguments, Context& context);

// Daemons elsewhere.
int ContextList(const Arguments& arguments, Context& context);
int ContextUse(const Arguments& arguments, Context& context);
int ContextAdd(const Arguments& arguments, Context& context);
int ContextRemove(const Arguments& arguments, Context& context);

// Workers.
int WorkerRunCommand(const Arguments& arguments, Context& context);
int WorkerList(const Arguments& arguments, Context& context);
int WorkerDrain(const Arguments& arguments, Context& context);

// Flow files (no daemon).
int Validate(const Arguments& arguments, Context& context);
int Plan(const Arguments& arguments, Context& context);
int Graph(const Arguments& arguments, Context& context);
int Explain(const Arguments& arguments, Context& context);
int Schema(const Arguments& arguments, Context& context);

// This tool.
int Completion(const Arguments& arguments, Context& context);
int Doctor(const Arguments& arguments, Context& context);
int Version(const Arguments& arguments, Context& context);

// Hidden: what a shell asks for while a word is typed, and the files under man/ and completions/.
int Complete(const Arguments& arguments, Context& context);
int Generate(const Arguments& arguments, Context& context);

}  // namespace beamline::cli
