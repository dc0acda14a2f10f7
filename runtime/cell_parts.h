// The pieces of a cell that its files share.
#pragma once

#include <string>

#include "runtime/cell.h"
#include "runtime/host_core.h"
#include "runtime/tables.h"

namespace troupe {

/// What drivers hold instead of the cell: outcomes find it as long as it is awake.
class cell::sink final : public work_sink, public std::enable_shared_from_this<cell::sink> {
 public:
  void arrive(outcome_item) override;
  void arrive(batch_item) override;
  void arrive(feed_end_item) override;
  void later(std::function<void()> f) override;

  std::weak_ptr<cell> owner;

 private:
  void push(mailbox_item);
};

/// Hears every change of the kind's own tables; keeps their rows if the kind wants history to show them.
class cell::recorder final : public storage::change_recorder {
 public:
  recorder(const known_kind& kind, bool keep) : kind_(kind), keep_(keep) {}

  bool wants(std::string_view table) override { return !table.starts_with(runtime_prefix); }
  void changed(const storage::change& c) override;

  /// Changes of own tables since the last ask; rolled back ones are not taken out.
  bool any() { return std::exchange(any_, false); }

 private:
  const known_kind& kind_;
  const bool keep_;
  bool any_ = false;
};

inline constexpr std::size_t max_page_entries = 256;
inline constexpr std::size_t max_page_bytes = 256 * 1024;
inline constexpr std::size_t max_entry_in_page = 64 * 1024;

/// Puts a stub in the place of an entry that is too long for a page.
void shorten(stream_entry&);
/// As rows hold it: compact, with what is not UTF-8 replaced.
std::string text_of(const json&);
std::size_t bytes_of(const mailbox_item&);
message_ptr read_message(const storage::row&, const key& from, const std::string& incarnation);
effect_row read_effect(const storage::row&);
feed_row read_feed(const storage::row&);
problem quarantined_problem(const key&, const std::string& why);
problem storage_problem(const key&, const std::string& why);

}  // namespace troupe
