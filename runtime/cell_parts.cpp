#include "runtime/cell_parts.h"

#include <algorithm>
#include <array>

#include <sodium.h>

namespace troupe {
namespace {

json parse(std::string_view text) {
  return text.empty() ? json(nullptr) : json::parse(text);
}

std::uint64_t number(const storage::row& r, int column) {
  return static_cast<std::uint64_t>(r.get<std::int64_t>(column));
}

}  // namespace

void cell::recorder::changed(const storage::change& c) {
  any_ = true;
  if (!keep_) return;
  const auto& secret = kind_.declared().secret_columns;
  if (secret.empty()) return change_recorder::changed(c);
  std::vector<storage::value_view> before(c.before.begin(), c.before.end()),
      after(c.after.begin(), c.after.end());
  for (std::size_t i = 0; i < c.columns.size(); ++i) {
    if (!kind_.secret_column(c.table, c.columns[i])) continue;
    if (i < before.size()) before[i] = std::string_view("***");
    if (i < after.size()) after[i] = std::string_view("***");
  }
  auto shown = c;
  shown.before = before;
  shown.after = after;
  change_recorder::changed(shown);
}

void shorten(stream_entry& e) {
  if (e.data->size() <= max_entry_in_page) return;
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash;
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(e.data->data()), e.data->size());
  std::array<char, 2 * hash.size() + 1> hex;
  sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
  e.data = std::make_shared<const std::string>(
      json{{"stub", true}, {"size", e.data->size()}, {"sha256", hex.data()}}.dump());
}

std::string text_of(const json& j) {
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::size_t bytes_of(const mailbox_item& item) {
  constexpr std::size_t own = 256;
  if (const auto* m = std::get_if<message_item>(&item)) return m->is->bytes + own;
  if (const auto* b = std::get_if<batch_item>(&item)) {
    std::size_t n = own;
    for (const auto& e : b->entries) n += e.dump(-1, ' ', false, json::error_handler_t::replace).size();
    return n;
  }
  return own;
}

message_ptr read_message(const storage::row& r, const key& from, const std::string& incarnation) {
  message m{.from = from, .from_incarnation = incarnation, .to = key(r.get<std::string_view>(0))};
  m.in = static_cast<lane>(r.get<std::int64_t>(1));
  m.number = number(r, 2);
  m.to_incarnation = r.get<std::string>(3);
  const auto flags = r.get<std::int64_t>(4);
  m.creates = flags & 1;
  m.is_reply = flags & 2;
  m.principal = r.get<std::string>(5);
  m.name = r.get<std::string>(6);
  const auto body = r.get<std::string_view>(7);
  m.body = parse(body);
  m.reply = r.get<std::string>(8);
  const auto context = r.get<std::string_view>(9);
  m.context = parse(context);
  m.bytes = body.size() + context.size() + m.name.size() + 128;
  return std::make_shared<const message>(std::move(m));
}

effect_row read_effect(const storage::row& r) {
  effect_row e;
  e.id = r.get<std::string>(0);
  e.number = number(r, 1);
  e.kind = r.get<std::string>(2);
  e.resource = r.get<std::string>(3);
  e.body = parse(r.get<std::string_view>(4));
  e.then = r.get<std::string>(5);
  e.context = parse(r.get<std::string_view>(6));
  e.principal = r.get<std::string>(7);
  e.attempt = static_cast<int>(r.get<std::int64_t>(8));
  e.deadline = r.get<std::int64_t>(9);
  return e;
}

feed_row read_feed(const storage::row& r) {
  feed_row f;
  f.id = r.get<std::string>(0);
  f.kind = r.get<std::string>(1);
  f.body = parse(r.get<std::string_view>(2));
  f.on_batch = r.get<std::string>(3);
  f.on_end = r.get<std::string>(4);
  f.context = parse(r.get<std::string_view>(5));
  f.principal = r.get<std::string>(6);
  f.position = r.get<std::string>(7);
  return f;
}

problem quarantined_problem(const key& k, const std::string& why) {
  return unavailable("quarantined",
                     k.str() + " is quarantined: " + why +
                         "; once the cause is gone, release it with `troupe inspect retry " + k.str() + "`",
                     60);
}

problem storage_problem(const key& k, const std::string& why) {
  return unavailable("storage",
                     k.str() + " could not store the command: " + why + "; ask again with the same id", 5);
}

}  // namespace troupe
