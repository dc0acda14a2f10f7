#include "sandboxd/tar_reader.h"

#include <charconv>
#include <cstring>

namespace troupe::sandboxd {
namespace {

constexpr std::size_t block_bytes = 512;

// Of a pax or GNU extension: long names, nothing large.
constexpr std::uint64_t max_extension_bytes = 64 * 1024;

constexpr std::uint64_t max_member_bytes = 1ull << 44;

struct field {
  std::size_t at;
  std::size_t size;
};
constexpr field name_field{0, 100}, mode_field{100, 8}, size_field{124, 12}, sum_field{148, 8},
    link_field{157, 100}, prefix_field{345, 155};

std::string text(const char* block, field f) {
  auto* begin = block + f.at;
  return std::string(begin, ::strnlen(begin, f.size));
}

// Octal, or base 256 as GNU writes what does not fit.
bool number(const char* block, field f, std::uint64_t& out) {
  auto* p = reinterpret_cast<const unsigned char*>(block + f.at);
  out = 0;
  if (p[0] & 0x80) {
    out = p[0] & 0x7F;
    for (std::size_t i = 1; i < f.size; ++i) {
      if (out >> 55) return false;
      out = out << 8 | p[i];
    }
    return true;
  }
  std::size_t i = 0;
  while (i < f.size && p[i] == ' ') ++i;
  for (; i < f.size && p[i] != 0 && p[i] != ' '; ++i) {
    if (p[i] < '0' || p[i] > '7' || out >> 60) return false;
    out = out << 3 | static_cast<unsigned>(p[i] - '0');
  }
  return true;
}

bool checksum_holds(const char* block) {
  std::uint64_t stored = 0;
  if (!number(block, sum_field, stored)) return false;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block_bytes; ++i) {
    bool in_sum = i >= sum_field.at && i < sum_field.at + sum_field.size;
    sum += in_sum ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum == stored;
}

}  // namespace

void tar_reader::feed(std::string bytes) {
  pending_.erase(0, at_);
  at_ = 0;
  if (pending_.empty())
    pending_ = std::move(bytes);
  else
    pending_ += bytes;
}

tar_reader::event tar_reader::fail(std::string why) {
  in_ = state::broken;
  event e;
  e.kind = event::type::broken;
  e.fault = std::move(why);
  return e;
}

tar_reader::event tar_reader::next() {
  for (;;) {
    event e;
    switch (in_) {
      case state::broken:
        return fail("the archive is broken");
      case state::end:
        e.kind = event::type::archive_end;
        return e;
      case state::header: {
        if (rest().size() < block_bytes) return e;
        auto* block = pending_.data() + at_;
        at_ += block_bytes;
        if (std::string_view(block, block_bytes).find_first_not_of('\0') == std::string_view::npos) {
          in_ = state::end;
          continue;
        }
        e = read_header(block);
        if (e.kind == event::type::need_more) continue;
        return e;
      }
      case state::extension: {
        auto take = std::min<std::uint64_t>(left_, rest().size());
        extension_.append(rest().substr(0, take));
        at_ += take;
        left_ -= take;
        if (left_ > 0) return e;
        e = extension_done();
        if (e.kind == event::type::broken) return e;
        in_ = state::padding;
        continue;
      }
      case state::contents: {
        if (left_ == 0) {
          in_ = state::padding;
          e.kind = event::type::member_end;
          return e;
        }
        if (rest().empty()) return e;
        e.kind = event::type::piece;
        e.piece = rest().substr(0, std::min<std::uint64_t>(left_, rest().size()));
        at_ += e.piece.size();
        left_ -= e.piece.size();
        return e;
      }
      case state::padding: {
        auto take = std::min<std::uint64_t>(padding_, rest().size());
        at_ += take;
        padding_ -= take;
        if (padding_ > 0) return e;
        in_ = state::header;
        continue;
      }
    }
  }
}

tar_reader::event tar_reader::read_header(const char* block) {
  event e;
  std::uint64_t size = 0, mode = 0;
  if (!checksum_holds(block)) return fail("a header's checksum is wrong");
  if (!number(block, size_field, size) || !number(block, mode_field, mode) || size > max_member_bytes)
    return fail("a header's number is out of range");
  char type = block[156];
  left_ = size;
  if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
    if (size > max_extension_bytes) return fail("an extended header is longer than 64 KiB");
    padding_ = (block_bytes - size % block_bytes) % block_bytes;
    extension_type_ = type;
    extension_.clear();
    in_ = state::extension;
    return e;
  }
  if (has_size_) left_ = size = pax_size_;
  if (size > max_member_bytes) return fail("a member's size is out of range");
  auto& m = e.member;
  m.name = text(block, name_field);
  if (std::memcmp(block + 257, "ustar", 6) == 0)
    if (auto prefix = text(block, prefix_field); !prefix.empty()) m.name = prefix + "/" + m.name;
  if (!long_name_.empty()) m.name = std::move(long_name_);
  m.link = long_link_.empty() ? text(block, link_field) : std::move(long_link_);
  long_name_.clear();
  long_link_.clear();
  has_size_ = false;
  m.mode = mode & 0777;
  m.size = size;
  switch (type) {
    case '0':
    case '\0':
    case '7':
      m.kind = !m.name.empty() && m.name.back() == '/' ? tar_member::type::directory : tar_member::type::file;
      break;
    case '5':
      m.kind = tar_member::type::directory;
      break;
    case '2':
      m.kind = tar_member::type::symlink;
      break;
    default:
      m.kind = tar_member::type::other;
  }
  padding_ = (block_bytes - size % block_bytes) % block_bytes;
  in_ = state::contents;
  e.kind = event::type::member;
  return e;
}

// pax: "LENGTH KEY=VALUE\n" …; GNU: the name itself, closed by NUL.
tar_reader::event tar_reader::extension_done() {
  auto taken = std::move(extension_);
  extension_.clear();
  if (extension_type_ == 'L' || extension_type_ == 'K') {
    auto& into = extension_type_ == 'L' ? long_name_ : long_link_;
    into = taken.substr(0, taken.find('\0'));
    return {};
  }
  // A global header would rename every member to come; none that occurs does that.
  if (extension_type_ == 'g') return {};
  std::string_view left = taken;
  while (!left.empty()) {
    std::size_t length = 0;
    auto [at, ec] = std::from_chars(left.data(), left.data() + left.size(), length);
    auto digits = static_cast<std::size_t>(at - left.data());
    if (ec != std::errc() || length > left.size() || length < digits + 3 || left[digits] != ' ' ||
        left[length - 1] != '\n')
      return fail("an extended header is malformed");
    auto record = left.substr(digits + 1, length - digits - 2);
    left.remove_prefix(length);
    auto equals = record.find('=');
    if (equals == record.npos) return fail("an extended header is malformed");
    auto key = record.substr(0, equals);
    auto value = record.substr(equals + 1);
    if (key == "path") long_name_ = value;
    if (key == "linkpath") long_link_ = value;
    if (key == "size") {
      auto [end, bad] = std::from_chars(value.data(), value.data() + value.size(), pax_size_);
      if (bad != std::errc() || end != value.data() + value.size())
        return fail("an extended header is malformed");
      has_size_ = true;
    }
  }
  return {};
}

}  // namespace troupe::sandboxd
