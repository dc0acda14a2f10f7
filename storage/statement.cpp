#include "storage/statement.h"

#include <algorithm>

#include <fmt/format.h>
#include <sqlite3.h>

#include "storage/error.h"

namespace troupe::storage {
namespace {

constexpr std::size_t max_sql_shown = 200;

std::string shown(std::string_view sql) {
  return sql.size() <= max_sql_shown ? fmt::format("run «{}»", sql)
                                     : fmt::format("run «{}…»", sql.substr(0, max_sql_shown));
}

bool only_blanks(const char* from, const char* to) {
  return std::all_of(from, to,
                     [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ';'; });
}

}  // namespace

statement::statement(sqlite3* connection, std::string_view sql, const std::filesystem::path& file)
    : connection_(connection), sql_(sql), file_(file) {
  const char* tail = nullptr;
  if (sqlite3_prepare_v3(connection_, sql_.c_str(), static_cast<int>(sql_.size()) + 1,
                         SQLITE_PREPARE_PERSISTENT, &handle_, &tail) != SQLITE_OK)
    raise(connection_, shown(sql_), file_);
  if (!handle_) raise_misuse("there is no statement in it", shown(sql_), file_);
  if (!only_blanks(tail, sql_.c_str() + sql_.size())) {
    sqlite3_finalize(handle_);
    raise_misuse("it holds more than one statement", shown(sql_), file_);
  }
  parameters_ = sqlite3_bind_parameter_count(handle_);
}

statement::~statement() {
  sqlite3_finalize(handle_);
}

void statement::check(int code, std::string_view what) const {
  if (code != SQLITE_OK) raise(connection_, fmt::format("{} of {}", what, shown(sql_)), file_);
}

void statement::bind_null(int index) {
  check(sqlite3_bind_null(handle_, index), "bind an argument");
}

void statement::bind_integer(int index, std::int64_t number) {
  check(sqlite3_bind_int64(handle_, index, number), "bind an argument");
}

void statement::bind_real(int index, double number) {
  check(sqlite3_bind_double(handle_, index, number), "bind an argument");
}

void statement::bind_text(int index, std::string_view text) {
  // A null pointer would bind NULL; an empty text is not NULL.
  check(sqlite3_bind_text64(handle_, index, text.data() ? text.data() : "", text.size(), SQLITE_STATIC,
                            SQLITE_UTF8),
        "bind a text");
}

void statement::bind_blob(int index, blob_view bytes) {
  check(bytes.empty() ? sqlite3_bind_zeroblob(handle_, index, 0)
                      : sqlite3_bind_blob64(handle_, index, bytes.data(), bytes.size(), SQLITE_STATIC),
        "bind a blob");
}

void statement::unsigned_too_big(int index) const {
  raise_misuse(fmt::format("argument {} is above 2^63-1", index), shown(sql_), file_);
}

void statement::require_parameters(int count) const {
  if (count != parameters_)
    raise_misuse(fmt::format("it has {} parameters and got {} arguments", parameters_, count), shown(sql_),
                 file_);
}

bool statement::step() {
  switch (sqlite3_step(handle_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      raise(connection_, shown(sql_), file_);
  }
}

void statement::reset() noexcept {
  sqlite3_reset(handle_);
}

lease statement_cache::use(std::string_view sql) {
  auto where = reinterpret_cast<std::uintptr_t>(sql.data());
  auto& hint = by_address_[(where >> 3 ^ where >> 9) % slots];
  // The address alone proves nothing: another text may live there now.
  if (hint.address == sql.data() && hint.found->sql() == sql && !hint.found->in_use())
    return lease(*hint.found);

  auto known = by_text_.find(sql);
  if (known == by_text_.end()) {
    auto fresh = std::make_unique<statement>(connection_, sql, file_);
    if (by_text_.size() >= max_statements && !make_room()) return lease(std::move(fresh));
    auto text = fresh->sql();
    known = by_text_.emplace(text, fresh.get()).first;
    statements_.push_back(std::move(fresh));
  }
  if (known->second->in_use()) return lease(std::make_unique<statement>(connection_, sql, file_));
  hint = {sql.data(), known->second};
  return lease(*known->second);
}

bool statement_cache::make_room() {
  auto idle = std::find_if(statements_.begin(), statements_.end(), [](auto& s) { return !s->in_use(); });
  if (idle == statements_.end()) return false;
  forget(idle->get());
  statements_.erase(idle);
  return true;
}

void statement_cache::forget(statement* gone) {
  for (auto& hint : by_address_)
    if (hint.found == gone) hint = {};
  by_text_.erase(gone->sql());
}

void statement_cache::clear() {
  for (auto it = statements_.begin(); it != statements_.end();) {
    if ((*it)->in_use()) {
      ++it;
      continue;
    }
    forget(it->get());
    it = statements_.erase(it);
  }
}

}  // namespace troupe::storage
