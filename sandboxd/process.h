// One process that was started through the API, what it said and how it ended.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sandboxd/byte_sink.h"
#include "sandboxd/byte_source.h"
#include "sandboxd/place.h"
#include "sandboxd/spool.h"

namespace troupe::sandboxd {

// The kinds of a process's spool records.
enum class stream_kind : std::uint32_t { output = 0, error = 1, terminal = 2 };
const char* stream_name(stream_kind kind);  // "stdout", "stderr", "pty"

// Used on the daemon's thread. Owned by the table of processes, its own coroutines and whoever follows it.
class process : public std::enable_shared_from_this<process> {
 public:
  struct description {
    std::string id;  // "proc_1"
    std::string command;
    std::vector<std::string> arguments;
    std::string directory;
    bool terminal = false;
    bool interactive = false;
    std::string owner = "user";
    std::int64_t created_ms = 0;
  };

  // Starts it. `folder` is new and its own: the spool and a note of what it is.
  static wire::asio::awaitable<outcome<std::shared_ptr<process>>> start(
      wire::executor ex, place& where, std::string folder, description what,
      std::vector<std::pair<std::string, std::string>> environment, std::uint64_t log_bytes);

  // One that an earlier daemon left: it has ended, nobody knows how.
  static outcome<std::shared_ptr<process>> recover(wire::executor ex, place& where, std::string folder,
                                                   std::uint64_t log_bytes);

  const description& what() const { return what_; }
  bool running() const { return running_; }
  const exit_status& how() const { return how_; }
  bool removed() const { return removed_; }
  // Everything that it will ever say is in the spool.
  bool silent() const { return !running_ && open_streams_ == 0; }
  sandboxd::spool& spool() { return *spool_; }

  // EPIPE: it has ended or closed its stdin. EAGAIN: it does not read.
  wire::asio::awaitable<outcome<done>> input(std::string bytes);

  // Sends it to the whole tree.
  wire::asio::awaitable<outcome<done>> signal(int number);

  // True when it has ended by then.
  wire::asio::awaitable<bool> ended(wire::time_point until);

  outcome<done> resize(std::uint16_t columns, std::uint16_t rows);

  // Reads no more of what descendants of an ended process still say.
  void hang_up();

  // Ends those who follow it and forgets the spool.
  void remove();

  // The contract's ProcessInfo as JSON text.
  std::string info() const;

 private:
  process(wire::executor ex, place& where, std::string folder, description what)
      : ex_(ex), place_(where), folder_(std::move(folder)), what_(std::move(what)) {}
  outcome<done> open_spool(std::uint64_t log_bytes);
  void write_note() const;
  wire::asio::awaitable<void> read(std::shared_ptr<byte_source> from, stream_kind kind);
  wire::asio::awaitable<void> watch_exit();

  wire::executor ex_;
  place& place_;
  std::string folder_;
  description what_;
  std::unique_ptr<sandboxd::spool> spool_;
  bool running_ = false;
  bool removed_ = false;
  process_id process_ = 0;
  std::int64_t pid_ = 0;
  exit_status how_;
  std::int64_t exited_ms_ = 0;
  std::shared_ptr<byte_sink> input_;
  std::vector<std::shared_ptr<byte_source>> sources_;
  int open_streams_ = 0;
  descriptor window_;  // the terminal once more, for its size
};

spool_options log_options(std::uint64_t log_bytes);

}  // namespace troupe::sandboxd
