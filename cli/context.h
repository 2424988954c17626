// What every command is handed besides its own arguments: where to write, how, and which daemon is
// meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace beamline::cli {

// Where text goes: a file descriptor, or a string in tests.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void Write(std::string_view text) = 0;
};

// Writes all of each text to a file descriptor at once; not buffered, not owned.
class FdWriter : public Writer {
 public:
  explicit FdWriter(int fd) : fd_(fd) {}
  void Write(std::string_view text) override;
  // errno of the first write that failed; 0 if none did. EPIPE is not a failure.
  int error() const { return error_; }

 private:
  int fd_;
  int error_ = 0;
};

class StringWriter : public Writer {
 public:
  void Write(std::string_view text) override { text_.append(text); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// One of the streams a command talks through.
struct Stream {
  Writer* writer = nullptr;  // borrowed
  bool tty = false;
  bool color = false;  // by --color, NO_COLOR, CLICOLOR_FORCE and whether it is a terminal

  void Write(std::string_view text) const { writer->Write(text); }
};

// A daemon that is reached over the network.
struct Remote {
  std::string address;  // "HOST:PORT"
  // PEM files, absolute: this client's certificate and key, and who signs the daemon's. All empty:
  // plain TCP, to a daemon of this machine that was started with --insecure-loopback.
  std::string cert, key, ca;
  std::string server_name;  // that the daemon's certificate must have; empty: HOST

  bool plain() const { return cert.empty() && key.empty() && ca.empty(); }
};

enum class Format { kText, kJson, kJsonl, kYaml, kNone };

struct Context {
  Stream out;  // data
  Stream err;  // prose, progress, hints, errors
  bool in_tty = false;
  int width = 80;         // columns of the terminal; 80 where there is none
  bool no_input = false;  // never ask; also where stdin or stderr is no terminal
  bool yes = false;       // take every question as answered with yes
  bool quiet = false;     // no hints and no progress
  Format format = Format::kText;
  std::string jq;  // the expression of --jq; empty = none

  std::string context = "default";  // name of the daemon that is meant
  std::string data_dir;             // its data directory, absolute
  std::string socket;               // its socket, absolute
  std::optional<Remote> remote;     // set: it is there, and `data_dir` and `socket` mean nothing

  // Where the daemon is looked for, for people.
  const std::string& place() const { return remote ? remote->address : socket; }

  // A person is there to answer a question.
  bool may_ask() const { return !no_input && in_tty && err.tty; }
  // Structured data is wanted instead of text for people.
  bool wants_data() const { return format != Format::kText || !jq.empty(); }
};

}  // namespace beamline::cli
