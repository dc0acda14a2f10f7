// Reading a tar stream as it comes: ustar, with the long names of pax and of GNU. No I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::sandboxd {

struct tar_member {
  enum class type { file, directory, symlink, other };
  type kind = type::other;
  std::string name;  // as it stands in the archive: not checked
  std::string link;
  std::uint64_t size = 0;
  std::uint32_t mode = 0644;
};

// Bytes in, members and pieces of their contents out, in order. Not thread-safe.
class tar_reader {
 public:
  // What comes next in what was fed. A `piece` lives until the next call of feed().
  struct event {
    enum class type { need_more, member, piece, member_end, archive_end, broken };
    type kind = type::need_more;
    tar_member member;
    std::string_view piece;
    std::string fault;
  };

  // At most one feed() until next() gave need_more.
  void feed(std::string bytes);
  event next();

  // Between members, with nothing of one pending: where an archive without its closing zeros may end.
  bool at_boundary() const { return in_ == state::header && pending_.size() == at_ && extension_.empty(); }

 private:
  enum class state { header, extension, contents, padding, end, broken };

  event fail(std::string why);
  event read_header(const char* block);
  event extension_done();
  std::string_view rest() const { return std::string_view(pending_).substr(at_); }

  std::string pending_;
  std::size_t at_ = 0;
  state in_ = state::header;
  std::uint64_t left_ = 0;     // of the contents or extension
  std::uint64_t padding_ = 0;  // to the next block of 512
  char extension_type_ = 0;
  std::string extension_;
  std::string long_name_;
  std::string long_link_;
  bool has_size_ = false;
  std::uint64_t pax_size_ = 0;
};

}  // namespace troupe::sandboxd
