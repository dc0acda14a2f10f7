#include "storage/changes.h"

#include <algorithm>
#include <bit>

namespace troupe::storage {
namespace {

constexpr unsigned char cbor_unsigned = 0, cbor_negative = 1, cbor_bytes = 2, cbor_text = 3, cbor_array = 4;
constexpr char map_of_unknown_length = '\xbf', array_of_unknown_length = '\x9f',
               end_of_unknown_length = '\xff';

void put_big_endian(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

void put_head(std::string& out, unsigned char major, std::uint64_t number) {
  auto type = static_cast<unsigned char>(major << 5);
  if (number < 24) {
    out.push_back(static_cast<char>(type | number));
  } else if (number <= 0xff) {
    out.push_back(static_cast<char>(type | 24));
    put_big_endian(out, number, 1);
  } else if (number <= 0xffff) {
    out.push_back(static_cast<char>(type | 25));
    put_big_endian(out, number, 2);
  } else if (number <= 0xffffffff) {
    out.push_back(static_cast<char>(type | 26));
    put_big_endian(out, number, 4);
  } else {
    out.push_back(static_cast<char>(type | 27));
    put_big_endian(out, number, 8);
  }
}

void put_text(std::string& out, std::string_view text) {
  put_head(out, cbor_text, text.size());
  out += text;
}

// Not inside a character: what is cut stays valid UTF-8 if it was.
std::size_t cut_before(std::string_view text, std::size_t at) {
  for (int back = 0; back < 3 && at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80; ++back)
    --at;
  return at;
}

void put_sized(std::string& out, unsigned char major, std::string_view bytes) {
  if (bytes.size() <= max_change_value) {
    put_head(out, major, bytes.size());
    out += bytes;
    return;
  }
  auto kept = major == cbor_text ? cut_before(bytes, max_change_value) : max_change_value;
  out.push_back('\xa2');
  put_text(out, "cut");
  put_head(out, major, kept);
  out += bytes.substr(0, kept);
  put_text(out, "size");
  put_head(out, cbor_unsigned, bytes.size());
}

struct put_value {
  std::string& out;

  void operator()(std::nullptr_t) const { out.push_back('\xf6'); }
  void operator()(std::int64_t number) const {
    if (number >= 0) {
      put_head(out, cbor_unsigned, static_cast<std::uint64_t>(number));
    } else {
      put_head(out, cbor_negative, ~static_cast<std::uint64_t>(number));
    }
  }
  void operator()(double number) const {
    out.push_back('\xfb');
    put_big_endian(out, std::bit_cast<std::uint64_t>(number), 8);
  }
  void operator()(std::string_view text) const { put_sized(out, cbor_text, text); }
  void operator()(blob_view bytes) const { put_sized(out, cbor_bytes, as_text(bytes)); }
};

void put(std::string& out, const value_view& v) {
  std::visit(put_value{out}, v);
}

bool same(const value_view& a, const value_view& b) {
  if (a.index() != b.index()) return false;
  if (auto bytes = std::get_if<blob_view>(&a)) return as_text(*bytes) == as_text(std::get<blob_view>(b));
  return std::visit(
      [&](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, blob_view>) {
          return false;
        } else {
          return held == std::get<T>(b);
        }
      },
      a);
}

void put_column(std::string& out, const change& c, std::size_t i) {
  if (c.columns.empty()) {
    put_text(out, std::to_string(i));
  } else {
    put_text(out, c.columns[i]);
  }
}

void put_key(std::string& out, const change& c) {
  auto values = c.op == change_op::insert ? c.after : c.before;
  if (c.key.empty()) return put(out, c.rowid);
  if (c.key.size() > 1) put_head(out, cbor_array, c.key.size());
  for (int column : c.key) put(out, values[static_cast<std::size_t>(column)]);
}

}  // namespace

void change_recorder::changed(const change& c) {
  ++count_;
  if (dropped_ > 0 || bytes_.size() >= max_changes_size) {
    if (dropped_++ == 0) dropped_at_ = bytes_.size();
    // A count of fixed width, so that marks taken after it stay true while it grows.
    std::string item{'\x82'};
    put_text(item, "…");
    item.push_back('\x1b');
    put_big_endian(item, dropped_, 8);
    bytes_.resize(std::max(bytes_.size(), dropped_at_ + item.size()));
    std::copy(item.begin(), item.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(dropped_at_));
    return;
  }
  bytes_.push_back('\x84');
  put_text(bytes_, c.op == change_op::insert ? "+" : c.op == change_op::remove ? "-" : "~");
  put_text(bytes_, c.table);
  put_key(bytes_, c);
  bytes_.push_back(map_of_unknown_length);
  auto values = c.op == change_op::insert ? c.after : c.before;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (c.op == change_op::update) {
      if (same(c.before[i], c.after[i])) continue;
      put_column(bytes_, c, i);
      put_head(bytes_, cbor_array, 2);
      put(bytes_, c.before[i]);
      put(bytes_, c.after[i]);
    } else {
      put_column(bytes_, c, i);
      put(bytes_, values[i]);
    }
  }
  bytes_.push_back(end_of_unknown_length);
}

void change_recorder::rewind(std::size_t mark) {
  if (mark >= bytes_.size()) return;
  bytes_.resize(mark);
  if (dropped_ > 0 && mark <= dropped_at_) dropped_ = 0;
}

void change_recorder::clear() {
  bytes_.clear();
  count_ = dropped_ = 0;
}

std::string_view change_recorder::sequence(std::size_t from, std::size_t to) const {
  std::string_view all = bytes_;
  from = std::min(from, all.size());
  return all.substr(from, std::max(from, std::min(to, all.size())) - from);
}

std::string as_cbor_array(std::string_view sequence) {
  std::string out;
  out.reserve(sequence.size() + 2);
  out.push_back(array_of_unknown_length);
  out += sequence;
  out.push_back(end_of_unknown_length);
  return out;
}

}  // namespace troupe::storage
