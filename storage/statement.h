// A prepared statement and the connection's bounded cache of them. Owned by `database` and `reader`; callers
// outside storage use database::run, each and one. Not thread-safe, like the connection under it.
#pragma once

#include <array>
#include <filesystem>
#include <list>
#include <memory>
#include <unordered_map>

#include "storage/row.h"

struct sqlite3;

namespace troupe::storage {

class statement {
 public:
  // `file` outlives the statement; it is only for messages. Text after the first statement is
  // failure::misuse.
  statement(sqlite3*, std::string_view sql, const std::filesystem::path& file);
  ~statement();
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;

  // Texts and blobs are borrowed, not copied: they must live until the statement is reset.
  template <class T>
  void bind(int index, const T&);
  void bind_null(int index);
  void bind_integer(int index, std::int64_t);
  void bind_real(int index, double);
  void bind_text(int index, std::string_view);
  void bind_blob(int index, blob_view);

  // All parameters must be bound on every use: a reset statement still points at the values of its last use.
  void require_parameters(int count) const;

  bool step();  // true: there is a row
  void reset() noexcept;

  row current() const { return row(handle_); }
  bool in_use() const { return in_use_; }
  void in_use(bool on) { in_use_ = on; }
  sqlite3_stmt* handle() const { return handle_; }
  std::string_view sql() const { return sql_; }

 private:
  [[noreturn]] void unsigned_too_big(int index) const;
  void check(int code, std::string_view what) const;

  sqlite3* connection_;
  sqlite3_stmt* handle_ = nullptr;
  std::string sql_;
  const std::filesystem::path& file_;
  int parameters_ = 0;
  bool in_use_ = false;  // from lease to reset; a nested use of the same text gets a statement of its own
};

// A statement for one use: reset when the lease ends, however it ends.
class lease {
 public:
  explicit lease(statement& cached) : statement_(&cached) { cached.in_use(true); }
  explicit lease(std::unique_ptr<statement> own) : own_(std::move(own)), statement_(own_.get()) {}
  ~lease() {
    statement_->reset();
    statement_->in_use(false);
  }
  lease(const lease&) = delete;
  lease& operator=(const lease&) = delete;
  statement* operator->() const { return statement_; }
  statement& operator*() const { return *statement_; }

 private:
  std::unique_ptr<statement> own_;
  statement* statement_;
};

// Keyed by text. A literal is found by its address first: one comparison of the text, no hashing.
class statement_cache {
 public:
  static constexpr std::size_t max_statements = 128;  // beyond it the oldest idle one is dropped

  statement_cache(sqlite3* connection, const std::filesystem::path& file)
      : connection_(connection), file_(file) {}

  lease use(std::string_view sql);
  void clear();  // drops every statement that is not in use
  std::size_t size() const { return by_text_.size(); }

 private:
  struct slot {
    const char* address = nullptr;
    statement* found = nullptr;
  };
  static constexpr std::size_t slots = 64;

  bool make_room();  // false: all are in use
  void forget(statement*);

  sqlite3* connection_;
  const std::filesystem::path& file_;
  std::array<slot, slots> by_address_{};
  std::list<std::unique_ptr<statement>> statements_;  // oldest first
  std::unordered_map<std::string_view, statement*> by_text_;
};

template <class T>
void statement::bind(int index, const T& v) {
  if constexpr (std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::nullopt_t>) {
    bind_null(index);
  } else if constexpr (detail::is_optional<T>::value) {
    v ? bind(index, *v) : bind_null(index);
  } else if constexpr (std::is_same_v<T, value> || std::is_same_v<T, value_view>) {
    std::visit([&](const auto& held) { bind(index, held); }, v);
  } else if constexpr (std::integral<T>) {
    if (!std::in_range<std::int64_t>(static_cast<std::conditional_t<std::is_same_v<T, bool>, int, T>>(v)))
      unsigned_too_big(index);
    bind_integer(index, static_cast<std::int64_t>(v));
  } else if constexpr (std::floating_point<T>) {
    bind_real(index, v);
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    bind_text(index, v);
  } else {
    static_assert(std::is_convertible_v<const T&, blob_view>,
                  "bind integers, bool, double, text, blobs, value, nullptr, or an optional of these");
    bind_blob(index, v);
  }
}

}  // namespace troupe::storage
