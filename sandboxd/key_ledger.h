// What callers' idempotency keys have led to, on disk: the same key again gives the first outcome and does
// nothing twice.
//
// A key is written down before its work begins and again with the outcome. It is remembered until the caller
// releases it and room is needed: beyond `max_keys` or `max_bytes` the oldest released keys go first, then
// those finished longer ago than `keep_ms`; when none may go, a new key is refused. A key that was begun and
// not finished when the program ended is `interrupted` for ever: nobody knows how far it came.
//
// Nothing is synced (as with the spool). Not thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/wire/signal.h"
#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

constexpr std::size_t max_key_bytes = 255;

struct ledger_options {
  std::size_t max_keys = 10'000;
  std::uint64_t max_bytes = 64 << 20;  // of the file with the outcomes
  std::int64_t keep_ms = 24 * 3600 * 1000;
};

// An HTTP answer, as far as it is remembered. `position` is a number of the caller's choice (a spool's
// sequence): release_to() goes by it.
struct remembered {
  int status = 0;
  std::string content_type;
  std::string body;
  std::uint64_t position = 0;
};

class key_ledger {
 public:
  enum class seen {
    fresh,        // written down now: do the work, then finish()
    running,      // being done: await it
    finished,     // recall() has the outcome
    interrupted,  // was being done when the daemon ended
    mismatch,     // this key came before with another request
    full,         // no room, and nothing may go
    failed,       // could not be written down (the disk): nothing may be done
  };

  static outcome<std::unique_ptr<key_ledger>> open(std::string path, ledger_options options);

  // `fingerprint` is the hash of what the request says. `now_ms`: Unix.
  seen begin(const std::string& key, std::uint64_t fingerprint, std::int64_t now_ms);

  // Wakes whoever awaits it. An outcome that cannot be written down is remembered in memory alone.
  void finish(const std::string& key, remembered what, std::int64_t now_ms);

  // The work was not begun after all (it was refused): the key is free again.
  void abandon(const std::string& key);

  // The outcome of a finished key; EIO when the disk fails.
  outcome<remembered> recall(const std::string& key) const;

  // A signal that is raised when the key is no longer running; nothing when it is not.
  std::optional<wire::signal> await(const std::string& key, wire::executor ex);

  // The caller has taken note: these may go. Those that finish, or have, with a position up to `position` (it
  // may be lowered again), or one key.
  void release_to(std::uint64_t position) { released_to_ = position; }
  bool release(const std::string& key);

  std::size_t size() const { return entries_.size(); }
  std::uint64_t stored_bytes() const { return file_bytes_; }

 private:
  enum class phase : std::uint8_t { running, finished, interrupted };

  struct entry {
    std::uint64_t fingerprint = 0;
    phase at = phase::running;
    bool released = false;
    std::int64_t time_ms = 0;
    std::uint64_t position = 0;
    std::uint64_t offset = 0;  // of the outcome's record in the file
    std::uint32_t size = 0;    // of that record; 0: the outcome is in `unwritten`
    std::shared_ptr<remembered> unwritten;
    std::vector<wire::signal> waiting;
    std::list<std::string>::iterator age;
  };

  key_ledger(std::string path, ledger_options options) : path_(std::move(path)), options_(options) {}
  outcome<done> recover();
  outcome<std::uint64_t> write(std::string_view key, const entry& e, const remembered* what);
  bool make_room(std::int64_t now_ms);
  void erase(const std::string& key);
  void compact();

  std::string path_;
  ledger_options options_;
  descriptor file_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t released_to_ = 0;
  std::uint64_t live_bytes_ = 0;  // of records that are still needed
  std::unordered_map<std::string, entry> entries_;
  std::list<std::string> oldest_first_;
};

// FNV-1a over the pieces, each with its length.
std::uint64_t fingerprint(std::initializer_list<std::string_view> pieces);

}  // namespace troupe::sandboxd
