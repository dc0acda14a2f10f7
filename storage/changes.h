// Row changes as they happen, for histories and replication: an observer of one connection's writes, and a
// compact encoding of them that any CBOR reader understands.
#pragma once

#include <string>
#include <vector>

#include "storage/value.h"

namespace troupe::storage {

enum class change_op : std::uint8_t { insert, update, remove };

// One row of one table, just before it changes. All views are valid during the call alone.
struct change {
  change_op op;
  std::string_view table;
  std::int64_t rowid;                    // meaningless for WITHOUT ROWID tables: use the key columns
  std::span<const std::string> columns;  // empty if the table was made after record_changes()
  std::span<const int> key;              // indexes of the primary key's columns; empty: the rowid is the key
  std::span<const value_view> before;    // empty for insert
  std::span<const value_view> after;     // empty for remove
};

// Called inside the writing statement, on its thread: it must not use the connection and must not throw.
// A savepoint rolled back is not reported: whoever collects forgets what came after his own mark.
class change_sink {
 public:
  virtual ~change_sink() = default;
  // Asked once per table and connection; the answer is kept until record_changes() is called again.
  virtual bool wants(std::string_view table) = 0;
  virtual void changed(const change&) = 0;
};

inline constexpr std::size_t max_change_value = 1024;  // bytes of a text or blob; longer ones are cut
inline constexpr std::size_t max_changes_size =
    1024 * 1024;  // bytes of one recording; beyond it changes are counted only

// Collects changes as a CBOR sequence, one array per change:
//   insert  ["+", table, key, {column: value, …}]
//   remove  ["-", table, key, {column: value, …}]
//   update  ["~", table, key, {column: [before, after], …}]     only the columns that differ
//   dropped ["…", count]                                        when the recording is full
// The key is the value of the key column, or an array of several. A text or blob over max_change_value is
// {"cut": first bytes, "size": all bytes}. Keeps its buffer between recordings. One thread.
class change_recorder : public change_sink {
 public:
  void changed(const change&) override;

  std::size_t mark() const { return bytes_.size(); }  // offset of what comes next
  void rewind(std::size_t mark);  // forgets what came after the mark (a savepoint rolled back)
  void clear();                   // forgets everything
  bool empty() const { return bytes_.empty(); }
  std::uint64_t count() const {
    return count_;
  }  // changes since clear(), rewound ones and dropped ones included
  // The sequence from `from` to `to`; valid until the next change.
  std::string_view sequence(std::size_t from = 0, std::size_t to = std::string::npos) const;

 private:
  std::string bytes_;
  std::uint64_t count_ = 0;
  std::uint64_t dropped_ = 0;
  std::size_t dropped_at_ = 0;  // where the "…" item stands while dropped_ > 0
};

// One CBOR array around a sequence, ready for nlohmann::json::from_cbor.
std::string as_cbor_array(std::string_view sequence);

}  // namespace troupe::storage
