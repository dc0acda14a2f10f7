// What storage throws. An error leaves storage as an exception and ends at the owner of the file (an actor's
// edge), where `kind` decides: full, io and busy are worth a retry; corrupt and newer_schema are not.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;

namespace troupe::storage {

enum class failure {
  full,           // the disk or a quota is full; nothing of the transaction was kept
  io,             // reading, writing or syncing failed; the outcome of a COMMIT is unknown
  corrupt,        // the file is not a database, or its content contradicts itself
  busy,           // another connection held a lock for longer than `busy_wait`
  constraint,     // a row breaks a rule of its table, or a value is too big
  newer_schema,   // written by a newer program; nothing was touched
  cannot_open,    // permissions, descriptors, a folder in the way, a read-only disk
  interrupted,    // the deadline passed; a writing statement took its whole transaction with it
  missing,        // no such file, or it was moved away under the open connection
  out_of_memory,  // SQLite could not allocate
  misuse,  // SQL that does not compile, a wrong number of arguments, NULL read as a number: a bug of the
           // caller
};

std::string_view to_string(failure);

// The text says what was tried, on which file, why it failed and what to do.
class error : public std::runtime_error {
 public:
  error(failure kind, int sqlite_code, std::filesystem::path file, const std::string& text,
        std::string reason = {});

  failure kind() const { return kind_; }
  int sqlite_code() const { return sqlite_code_; }  // SQLite's extended code, 0 when SQLite had no part in it
  const std::filesystem::path& file() const { return file_; }
  // The cause alone, in SQLite's words; empty where what() has all there is.
  const std::string& reason() const { return reason_; }

 private:
  failure kind_;
  int sqlite_code_;
  std::filesystem::path file_;
  std::string reason_;
};

failure classify(int sqlite_code, int system_errno);

// `tried` reads after "could not": "commit", "run «INSERT …»". Takes code, words and errno from the
// connection.
[[noreturn]] void raise(sqlite3* connection, std::string_view tried, const std::filesystem::path& file);
[[noreturn]] void raise(int sqlite_code, int system_errno, std::string_view why, std::string_view tried,
                        const std::filesystem::path& file);
[[noreturn]] void raise_misuse(std::string_view why, std::string_view tried,
                               const std::filesystem::path& file);

}  // namespace troupe::storage
