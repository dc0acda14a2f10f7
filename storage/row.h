// The current row of a running statement. Borrowed: valid inside the callback that got it; views that it
// gives out (string_view, blob_view) are valid until the statement steps on.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "storage/value.h"

struct sqlite3_stmt;

namespace troupe::storage {

namespace detail {
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
}  // namespace detail

class row {
 public:
  explicit row(sqlite3_stmt* statement) : statement_(statement) {}

  // T: any integer, bool, double, std::string, std::string_view, blob, blob_view, value, or optional of
  // these. Columns count from 0. NULL needs an optional (or value), and an integer must fit T; otherwise
  // failure::misuse.
  template <class T>
  T get(int column) const;

  bool is_null(int column) const;
  value as_value(int column) const;
  value_view as_view(int column) const;
  int columns() const;
  std::string_view name(int column) const;

 private:
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string_view text(int column) const;
  blob_view bytes(int column) const;
  void require_value(int column) const;
  [[noreturn]] void out_of_range(int column) const;

  sqlite3_stmt* statement_;
};

template <class T>
T row::get(int column) const {
  if constexpr (detail::is_optional<T>::value) {
    if (is_null(column)) return std::nullopt;
    return get<typename T::value_type>(column);
  } else if constexpr (std::is_same_v<T, value>) {
    return as_value(column);
  } else {
    require_value(column);
    if constexpr (std::is_same_v<T, bool>) {
      return integer(column) != 0;
    } else if constexpr (std::integral<T>) {
      auto number = integer(column);
      if (!std::in_range<T>(number)) out_of_range(column);
      return static_cast<T>(number);
    } else if constexpr (std::floating_point<T>) {
      return static_cast<T>(real(column));
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      return T(text(column));
    } else if constexpr (std::is_same_v<T, blob_view>) {
      return bytes(column);
    } else {
      static_assert(std::is_same_v<T, blob>, "a column is an integer, bool, double, text, blob or value");
      auto view = bytes(column);
      return blob(view.begin(), view.end());
    }
  }
}

}  // namespace troupe::storage
