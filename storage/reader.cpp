#include "storage/reader.h"

#include <algorithm>
#include <array>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "storage/database.h"

namespace troupe::storage {
namespace {

constexpr int max_foreign_sql_length = 64 * 1024;
using namespace std::string_view_literals;

// These read whatever their argument is.
constexpr std::array reading_pragmas{
    "table_info"sv,        "table_xinfo"sv,      "table_list"sv,     "index_list"sv,  "index_info"sv,
    "index_xinfo"sv,       "foreign_key_list"sv, "collation_list"sv, "quick_check"sv, "integrity_check"sv,
    "foreign_key_check"sv, "compile_options"sv,  "function_list"sv};
// These would write if they had one.
constexpr std::array asking_pragmas{"user_version"sv, "application_id"sv, "page_size"sv,
                                    "page_count"sv,   "freelist_count"sv, "schema_version"sv,
                                    "journal_mode"sv, "data_version"sv,   "encoding"sv};

template <class Names>
bool among(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

int authorize(void*, int action, const char* first, const char* second, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      return second && second == "load_extension"sv ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
      return among(reading_pragmas, first) || (!second && among(asking_pragmas, first)) ? SQLITE_OK
                                                                                        : SQLITE_DENY;
    case SQLITE_UPDATE:
      // Asked when a PRAGMA is used as a table; a real update of the schema fails on a connection that only
      // reads.
      return first == "sqlite_master"sv ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

std::size_t weight(const value& v) {
  if (auto text = std::get_if<std::string>(&v)) return sizeof v + text->size();
  if (auto bytes = std::get_if<blob>(&v)) return sizeof v + bytes->size();
  return sizeof v;
}

}  // namespace

reader::reader(const std::filesystem::path& file, const read_limits& limits) : file_(file), limits_(limits) {
  configure();
  if (!std::filesystem::exists(file_))
    throw error(failure::missing, 0, file_,
                fmt::format("could not read {}: there is no such file; check the path", file_.native()));
  try {
    connection_ =
        std::make_unique<SQLite::Database>(file_.c_str(), SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX,
                                           static_cast<int>(busy_wait.count()), limits_.vfs);
  } catch (const SQLite::Exception& e) {
    raise(e.getExtendedErrorCode(), 0, e.what(), "open the database for reading", file_);
  }
  auto* db = connection_->getHandle();
  sqlite3_extended_result_codes(db, 1);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, max_foreign_sql_length);
  sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
  // One value is at most what a whole result may be.
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH,
                static_cast<int>(std::min<std::size_t>(limits_.bytes, max_value_size)));
  sqlite3_set_authorizer(db, authorize, nullptr);
  sqlite3_progress_handler(
      db, steps_between_clock_reads,
      [](void* deadline) {
        auto at = *static_cast<std::chrono::steady_clock::time_point*>(deadline);
        return std::chrono::steady_clock::now() >= at ? 1 : 0;
      },
      &deadline_);
}

reader::~reader() = default;

void reader::hold() {
  auto* db = connection_->getHandle();
  deadline_ = std::chrono::steady_clock::now() + limits_.time;
  sqlite3_set_authorizer(db, nullptr, nullptr);
  const int code = sqlite3_exec(db, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", nullptr, nullptr, nullptr);
  sqlite3_set_authorizer(db, authorize, nullptr);
  if (code != SQLITE_OK) raise(db, "hold the file as it is", file_);
}

read_result reader::run(std::string_view sql, std::span<const value> params) {
  deadline_ = std::chrono::steady_clock::now() + limits_.time;
  statement s(connection_->getHandle(), sql, file_);
  if (!sqlite3_stmt_readonly(s.handle()))
    raise_misuse("it would write, and this connection only reads", fmt::format("run «{}»", sql), file_);
  s.require_parameters(static_cast<int>(params.size()));
  for (std::size_t i = 0; i < params.size(); ++i) s.bind(static_cast<int>(i) + 1, params[i]);

  read_result result;
  const row current = s.current();
  int columns = current.columns();
  for (int i = 0; i < columns; ++i) result.columns.emplace_back(current.name(i));
  std::size_t bytes = 0;
  while (s.step()) {
    if (result.rows.size() >= limits_.rows || bytes >= limits_.bytes) {
      result.truncated = true;
      break;
    }
    auto& values = result.rows.emplace_back();
    values.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i) bytes += weight(values.emplace_back(current.as_value(i)));
  }
  return result;
}

}  // namespace troupe::storage
