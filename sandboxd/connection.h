// One agent process and everything that it says: an "ACP server" of the contract.
//
// A pipe with memory. What goes in is JSON-RPC, one message a line; what comes out gets a number and goes to
// the spool before anybody sees it. Requests are matched with their responses by id so that a POST can be
// answered; the response stands in the spool too, after the updates that came before it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandboxd/byte_sink.h"
#include "sandboxd/byte_source.h"
#include "sandboxd/key_ledger.h"
#include "sandboxd/line_splitter.h"
#include "sandboxd/once.h"
#include "sandboxd/place.h"
#include "sandboxd/rpc_message.h"
#include "sandboxd/spool.h"

namespace troupe::sandboxd {

struct connection_options {
  spool_options spool;
  // No age makes a key of an acknowledging consumer go: only its acknowledgement does.
  ledger_options keys{4096, 64 << 20, INT64_MAX};
  std::chrono::milliseconds request_limit{0};  // 0: none. session/prompt never has one
  std::chrono::milliseconds close_grace{500};  // after its stdin was closed, until SIGTERM
  std::chrono::milliseconds term_grace{1000};  // until its tree is killed
};

// How to start it.
struct agent_start {
  std::vector<std::string> argv;  // empty: the built-in echo agent
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;
};

constexpr std::size_t max_pending_requests = 1024;

// Used on the daemon's thread. Owned by the table of connections and by its own coroutines.
class connection : public std::enable_shared_from_this<connection> {
 public:
  struct identity {
    std::string id;
    std::string agent;
    std::int64_t created_ms = 0;
  };

  // A new one in a new folder, or one that an earlier daemon left in it (that one has ended: `ended` becomes
  // true and its spool is closed by an agent_exited).
  static outcome<std::shared_ptr<connection>> create(wire::executor ex, place& where, std::string folder,
                                                     identity who, connection_options options);
  static outcome<std::shared_ptr<connection>> recover(wire::executor ex, place& where, std::string folder,
                                                      connection_options options);

  // Starts the process. An error of the place is returned as it is; then the connection is of no use.
  wire::asio::awaitable<outcome<done>> start(agent_start how);

  // There is nothing to start: who waits for it is told so.
  void give_up();

  // Those who wait for a start in progress. True: it runs or ran.
  wire::asio::awaitable<bool> started();

  // Writes a request and completes with its response, whose bytes are the agent's; or with the problem why
  // there is none.
  wire::asio::awaitable<answer> request(std::string line, rpc_message what);
  // Writes anything else: 202.
  wire::asio::awaitable<answer> notify(std::string line);

  // Closes stdin, then SIGTERM, then the tree; completes when nothing of it runs. Streams end at once.
  wire::asio::awaitable<void> end();

  // After end(): forgets the spool and the keys.
  void remove_files();

  const identity& who() const { return who_; }
  bool running() const { return phase_ == phase::running; }
  bool closed() const { return closed_; }  // end() has begun: streams finish
  std::int64_t started_ms() const { return who_.created_ms; }

  sandboxd::spool& spool() { return *spool_; }
  std::shared_ptr<key_ledger> keys() { return keys_; }
  outcome<done> acknowledge(std::uint64_t sequence);

  // The status of docs/sandboxd.md, as JSON text.
  std::string status() const;

 private:
  enum class phase { starting, running, ended, failed };

  struct pending {
    explicit pending(wire::executor ex) : settled(ex) {}
    std::optional<answer> result;
    wire::signal settled;
    bool prompt = false;           // session/prompt
    bool cancelled = false;        // a session/cancel came while it was going on
    unsigned long long began = 0;  // by start_clock()
  };

  connection(wire::executor ex, place& where, std::string folder, identity who, connection_options options);
  outcome<done> open_files();
  outcome<done> write_identity() const;

  wire::asio::awaitable<void> read_output(std::shared_ptr<byte_source> from);
  wire::asio::awaitable<void> read_errors(std::shared_ptr<byte_source> from);
  wire::asio::awaitable<void> watch_exit();
  wire::asio::awaitable<bool> keep(std::string line);
  wire::asio::awaitable<void> take(std::string line, bool whole);
  wire::asio::awaitable<outcome<done>> put(std::string line);
  void echo(const std::string& line, const rpc_message& what);
  wire::asio::awaitable<void> end_cancelled(const pending& prompt);
  void fail_pending();
  answer exited_answer() const;
  void release_keys();

  wire::executor ex_;
  place& place_;
  std::string folder_;
  identity who_;
  connection_options options_;
  std::unique_ptr<sandboxd::spool> spool_;
  std::shared_ptr<key_ledger> keys_;

  phase phase_ = phase::starting;
  bool closed_ = false;
  bool built_in_ = false;
  process_id process_ = 0;
  std::int64_t pid_ = 0;
  exit_status how_;
  std::shared_ptr<byte_sink> input_;
  std::shared_ptr<byte_source> output_;
  std::shared_ptr<byte_source> errors_;
  bool output_ended_ = true;
  bool errors_ended_ = true;
  bool everything_ended_ = false;  // exit taken, tree gone, agent_exited kept
  std::string error_tail_;
  std::map<std::string, std::shared_ptr<pending>> pending_;  // by JSON-RPC id
  std::map<std::uint64_t, wire::signal> waiting_;            // for a change of phase or the end of the output
  std::uint64_t next_waiting_ = 0;
  void changed();
  wire::asio::awaitable<bool> change(wire::time_point until);
};

}  // namespace troupe::sandboxd
