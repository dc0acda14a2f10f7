// /v1/fs: the files of the place.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/paths.h"
#include "sandboxd/reading.h"
#include "sandboxd/tar_reader.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

// Up to this a file is answered whole, with its length; beyond it in pieces.
constexpr std::uint64_t whole_file_bytes = 1 << 20;
constexpr std::size_t piece_bytes = 256 * 1024;

constexpr std::size_t max_listed_paths = 1024;

// The path as answers show it.
std::string shown(const daemon_ptr& d, const std::string& path) {
  auto absolute = absolute_path(path, d->where.home());
  return absolute ? absolute.value() : path;
}

const char* type_of(const file_status& s) {
  return s.kind == file_kind::directory ? "directory" : "file";
}

void describe(json& out, const file_status& s) {
  out["entryType"] = type_of(s);
  out["size"] = s.size;
  out["modified"] = rfc3339(s.modified_ns);
}

std::string below(const std::string& folder, const std::string& name) {
  return folder + (folder.empty() || folder.back() != '/' ? "/" : "") + name;
}

wire::response path_answer(const std::string& path) {
  json said;
  said["path"] = path;
  return json_response(said);
}

asio::awaitable<void> entries(daemon_ptr d, wire::exchange& x) {
  auto path = query_reader(x.request()).optional_text("path").value_or("");
  auto absolute = shown(d, path);
  auto listed = co_await d->where.list(path);
  if (!listed) {
    co_await d->out.reply(x, contract::file_problem(listed.error(), absolute));
    co_return;
  }
  json out = json::array();
  for (auto& e : listed.value()) {
    json one;
    one["name"] = e.name;
    one["path"] = below(absolute, e.name);
    describe(one, e.status);
    out.push_back(std::move(one));
  }
  co_await d->out.reply(x, json_response(out));
}

asio::awaitable<void> stat(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto path = q.text("path");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  auto absolute = shown(d, path);
  auto found = co_await d->where.status(path);
  if (!found) {
    co_await d->out.reply(x, contract::file_problem(found.error(), absolute));
    co_return;
  }
  json out;
  out["path"] = absolute;
  describe(out, found.value());
  co_await d->out.reply(x, json_response(out));
}

struct byte_range {
  std::uint64_t from = 0;
  std::uint64_t to = 0;  // one past the last
};

// One range of bytes. `bad`: it lies outside of the file. What is not understood is ignored, as HTTP says.
std::optional<byte_range> wanted_range(const wire::request& r, std::uint64_t size, bool& bad) {
  auto field = r.headers.find("range");
  if (!field || field->substr(0, 6) != "bytes=" || field->find(',') != field->npos) return std::nullopt;
  auto text = field->substr(6);
  auto dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  auto read = [](std::string_view s, std::uint64_t& out) {
    auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), out);
    return ec == std::errc() && end == s.data() + s.size() && !s.empty();
  };
  std::uint64_t first = 0, last = 0;
  auto left = text.substr(0, dash), right = text.substr(dash + 1);
  if (left.empty()) {
    if (!read(right, last)) return std::nullopt;
    bad = last == 0 || size == 0;
    return byte_range{size - std::min(size, last), size};
  }
  if (!read(left, first) || (!right.empty() && (!read(right, last) || last < first))) return std::nullopt;
  bad = first >= size;
  return byte_range{first, right.empty() ? size : std::min(size, last + 1)};
}

asio::awaitable<void> read_file(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto path = q.text("path");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  auto opened = co_await d->where.open(path, open_mode::read);
  struct stat st {};
  if (opened && ::fstat(opened->get(), &st) != 0) opened = os_error{errno, path};
  // The place has looked already; a place that lies must not make the daemon wait on a FIFO.
  if (opened && !S_ISREG(st.st_mode)) opened = os_error{EISDIR, path};
  if (!opened) {
    auto refusal = contract::file_problem(opened.error(), shown(d, path));
    co_await d->out.reply(x, std::move(refusal));
    co_return;
  }
  auto fd = std::move(opened).value();
  auto size = static_cast<std::uint64_t>(st.st_size);
  bool bad = false;
  auto range = wanted_range(x.request(), size, bad);
  if (bad) {
    auto refusal = wire::response::empty(416);
    refusal.headers.set("content-range", "bytes */" + std::to_string(size));
    co_await d->out.reply(x, std::move(refusal));
    co_return;
  }
  wire::headers fields;
  fields.set("content-type", "application/octet-stream");
  fields.set("accept-ranges", "bytes");
  if (range)
    fields.set("content-range", "bytes " + std::to_string(range->from) + "-" + std::to_string(range->to - 1) +
                                    "/" + std::to_string(size));
  std::uint64_t at = range ? range->from : 0;
  std::uint64_t end = range ? range->to : size;
  int status = range ? 206 : 200;
  auto read = [&](std::string& into, std::size_t bytes) {
    into.resize(bytes);
    auto n = ::pread(fd.get(), into.data(), bytes, static_cast<off_t>(at));
    into.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    at += into.size();
    return n >= 0;
  };
  if (end - at <= whole_file_bytes) {
    wire::response out = wire::response::empty(status);
    out.headers = std::move(fields);
    std::string bytes, piece;
    while (at < end && read(piece, end - at) && !piece.empty()) bytes += piece;
    out.body = std::move(bytes);
    co_await d->out.reply(x, std::move(out));
    co_return;
  }
  if (!co_await d->out.begin_stream(x, status, std::move(fields))) co_return;
  if (x.request().method == "HEAD") {
    co_await x.finish();
    co_return;
  }
  while (at < end) {
    std::string piece;
    // A file that shrinks or fails on the way: the answer is cut, so that nobody takes it for whole.
    if (!read(piece, std::min<std::uint64_t>(piece_bytes, end - at)) || piece.empty()) co_return;
    if (!co_await x.write(std::move(piece))) co_return;
  }
  co_await x.finish();
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

wire::response body_problem(const wire::failure& f) {
  if (f.kind == wire::fault::too_large) return contract::too_long();
  return contract::invalid_request("the request's body ended too early: " + f.text);
}

asio::awaitable<void> write_file(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto path = q.text("path");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  auto opened = co_await d->where.open(path, open_mode::replace);
  if (!opened) {
    auto refusal = contract::file_problem(opened.error(), shown(d, path));
    co_await d->out.reply(x, std::move(refusal));
    co_return;
  }
  std::uint64_t written = 0;
  for (;;) {
    auto piece = co_await x.read_body();
    std::optional<wire::response> refusal;
    if (!piece)
      refusal = body_problem(piece.error());
    else if (piece.value() && !write_all(opened->get(), *piece.value()))
      refusal = contract::stream_error(contract::os_text(errno));
    if (refusal) {
      co_await d->out.reply(x, std::move(*refusal));
      co_return;
    }
    if (!piece.value()) break;
    written += piece.value()->size();
  }
  json said;
  said["path"] = shown(d, path);
  said["bytesWritten"] = written;
  co_await d->out.reply(x, json_response(said));
}

asio::awaitable<void> remove(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto path = q.text("path");
  bool recursive = q.flag("recursive");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  auto removed = co_await d->where.remove(path, recursive);
  auto said = removed ? path_answer(shown(d, path)) : contract::file_problem(removed.error(), shown(d, path));
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<void> make_directory(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto path = q.text("path");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  auto made = co_await d->where.make_directory(path);
  auto said = made ? path_answer(shown(d, path)) : contract::file_problem(made.error(), shown(d, path));
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<answer> move(daemon_ptr d, std::string from, std::string to, bool overwrite) {
  answer out;
  auto moved = co_await d->where.move(from, to, overwrite);
  if (!moved) {
    out.remember = false;
    if (moved.error().number == EEXIST && !overwrite)
      out.response = contract::invalid_request("destination already exists: " + shown(d, to));
    else
      out.response = contract::file_problem(moved.error(), shown(d, from));
    co_return out;
  }
  json said;
  said["from"] = shown(d, from);
  said["to"] = shown(d, to);
  out.response = json_response(said);
  co_return out;
}

asio::awaitable<void> post_move(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  auto from = body.text("from");
  auto to = body.text("to");
  bool overwrite = body.flag("overwrite");
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  work what = [d, from, to, overwrite] { return move(d, from, to, overwrite); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

struct unpacking {
  std::string folder;
  json paths = json::array();
  bool truncated = false;
  descriptor file;  // of the member that is being written
  std::optional<wire::response> refusal;
};

asio::awaitable<void> begin_member(daemon_ptr d, unpacking& u, tar_member m) {
  auto name = member_path(m.name);
  if (!name) {
    u.refusal = contract::invalid_request(name.error().text);
    co_return;
  }
  if (name.value().empty() || m.kind == tar_member::type::other) co_return;
  auto path = below(u.folder, name.value());
  std::optional<os_error> failed;
  if (m.kind == tar_member::type::directory) {
    auto made = co_await d->where.make_directory(path);
    if (!made) failed = made.error();
  } else if (m.kind == tar_member::type::symlink) {
    auto made = co_await d->where.make_symlink(m.link, path);
    if (!made && made.error().number == EEXIST) {
      auto removed = co_await d->where.remove(path, false);
      if (removed) made = co_await d->where.make_symlink(m.link, path);
    }
    if (!made) failed = made.error();
  } else {
    auto opened = co_await d->where.open(path, open_mode::replace, m.mode);
    if (opened)
      u.file = std::move(opened).value();
    else
      failed = opened.error();
  }
  if (failed) {
    u.refusal = contract::file_problem(*failed, path);
  } else if (u.paths.size() < max_listed_paths) {
    u.paths.push_back(path);
  } else {
    u.truncated = true;
  }
}

// Takes everything out of what was fed. True: the archive has ended.
asio::awaitable<bool> unpack(daemon_ptr d, unpacking& u, tar_reader& tar) {
  for (;;) {
    auto e = tar.next();
    switch (e.kind) {
      case tar_reader::event::type::need_more:
        co_return false;
      case tar_reader::event::type::archive_end:
        co_return true;
      case tar_reader::event::type::broken:
        u.refusal = contract::stream_error("tar: " + e.fault);
        co_return true;
      case tar_reader::event::type::member:
        co_await begin_member(d, u, std::move(e.member));
        if (u.refusal) co_return true;
        break;
      case tar_reader::event::type::piece:
        if (u.file && !write_all(u.file.get(), e.piece)) {
          u.refusal = contract::stream_error(contract::os_text(errno));
          co_return true;
        }
        break;
      case tar_reader::event::type::member_end:
        u.file.reset();
        break;
    }
  }
}

asio::awaitable<void> upload_batch(daemon_ptr d, wire::exchange& x) {
  auto path = query_reader(x.request()).optional_text("path").value_or("");
  unpacking u;
  u.folder = shown(d, path);
  if (!is_media_type(x.request().headers.find("content-type"), "application/x-tar"))
    u.refusal = contract::invalid_request("content-type must be application/x-tar");
  tar_reader tar;
  bool ended = false;
  while (!u.refusal) {
    auto piece = co_await x.read_body();
    if (!piece) {
      u.refusal = body_problem(piece.error());
    } else if (!piece.value()) {
      if (!ended && !tar.at_boundary()) u.refusal = contract::stream_error("tar: the archive is cut");
      break;
    } else if (!ended) {
      // What follows the end of the archive is padding of some writers.
      tar.feed(std::move(*piece.value()));
      ended = co_await unpack(d, u, tar);
    }
  }
  if (u.refusal) {
    co_await d->out.reply(x, std::move(*u.refusal));
    co_return;
  }
  json said;
  said["paths"] = std::move(u.paths);
  said["truncated"] = u.truncated;
  co_await d->out.reply(x, json_response(said));
}

}  // namespace

void add_file_routes(wire::router& to, daemon_ptr d) {
  wire::route_options streamed;
  streamed.max_body = d->options.max_upload_bytes;
  streamed.streamed_body = true;
  to.on("GET", "/v1/fs/entries", [d](wire::exchange& x) { return entries(d, x); });
  to.on("GET", "/v1/fs/stat", [d](wire::exchange& x) { return stat(d, x); });
  to.on("GET", "/v1/fs/file", [d](wire::exchange& x) { return read_file(d, x); });
  to.on(
      "PUT", "/v1/fs/file", [d](wire::exchange& x) { return write_file(d, x); }, streamed);
  to.on("DELETE", "/v1/fs/entry", [d](wire::exchange& x) { return remove(d, x); });
  to.on("POST", "/v1/fs/mkdir", [d](wire::exchange& x) { return make_directory(d, x); });
  to.on("POST", "/v1/fs/move", [d](wire::exchange& x) { return post_move(d, x); });
  to.on(
      "POST", "/v1/fs/upload-batch", [d](wire::exchange& x) { return upload_batch(d, x); }, streamed);
}

}  // namespace troupe::sandboxd
