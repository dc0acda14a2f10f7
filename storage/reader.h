// A short-lived second connection that can only read: for inspection while the owner goes on writing. One
// thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/error.h"
#include "storage/value.h"

namespace SQLite {
class Database;
}

namespace troupe::storage {

struct read_limits {
  std::chrono::milliseconds time{2000};  // per run(); beyond it failure::interrupted
  std::size_t rows = 10'000;             // beyond either of these the result is cut and says so
  std::size_t bytes = 32 * 1024 * 1024;
  const char* vfs = nullptr;
};

struct read_result {
  std::vector<std::string> columns;
  std::vector<std::vector<value>> rows;
  bool truncated = false;
};

// Refused as failure::misuse: more than one statement, anything that writes, ATTACH, PRAGMAs beyond a list of
// harmless ones, loading extensions. A file that is not there is failure::missing; nothing is ever created.
class reader {
 public:
  explicit reader(const std::filesystem::path& file, const read_limits& = {});
  ~reader();
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  read_result run(std::string_view sql, std::span<const value> params = {});
  // From here to its end this reader sees the file as it is now, whatever its owner commits.
  void hold();
  // Copies the file as it is now to a new one, synced, while its owner goes on writing. An existing target is
  // cannot_open.
  void copy_to(const std::filesystem::path& target);

 private:
  std::filesystem::path file_;
  read_limits limits_;
  std::unique_ptr<SQLite::Database> connection_;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace troupe::storage
