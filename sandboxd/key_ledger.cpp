#include "sandboxd/key_ledger.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace troupe::sandboxd {
namespace {

constexpr std::uint32_t max_outcome_bytes = 64 << 20;

// Below this a file is not worth rewriting.
constexpr std::uint64_t compact_from_bytes = 1 << 20;

struct header {
  std::uint32_t key_bytes;
  std::uint32_t type_bytes;
  std::uint32_t body_bytes;
  std::int32_t status;  // 0: begun; -1: forgotten
  std::uint64_t fingerprint;
  std::uint64_t position;
  std::int64_t time_ms;
};
static_assert(sizeof(header) == 40);

constexpr std::int32_t status_begun = 0;
constexpr std::int32_t status_forgotten = -1;

std::uint64_t size_of(const header& h) {
  return sizeof h + std::uint64_t(h.key_bytes) + h.type_bytes + h.body_bytes;
}

bool plausible(const header& h) {
  return h.key_bytes > 0 && h.key_bytes <= max_key_bytes && h.type_bytes < 1024 &&
         h.body_bytes <= max_outcome_bytes;
}

bool read_exactly(int fd, void* into, std::size_t size, std::uint64_t at) {
  return ::pread(fd, into, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
}

}  // namespace

std::uint64_t fingerprint(std::initializer_list<std::string_view> pieces) {
  std::uint64_t h = 14695981039346656037ULL;
  auto mix = [&](unsigned char byte) { h = (h ^ byte) * 1099511628211ULL; };
  for (auto piece : pieces) {
    for (auto n = piece.size(); n; n >>= 8) mix(static_cast<unsigned char>(n));
    mix(0);
    for (char c : piece) mix(static_cast<unsigned char>(c));
  }
  return h;
}

outcome<std::unique_ptr<key_ledger>> key_ledger::open(std::string path, ledger_options options) {
  std::unique_ptr<key_ledger> made(new key_ledger(std::move(path), options));
  auto recovered = made->recover();
  if (!recovered) return recovered.error();
  return made;
}

outcome<done> key_ledger::recover() {
  file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat st {};
  if (!file_ || ::fstat(file_.get(), &st) != 0) return os_error{errno, "open the file of keys " + path_};
  auto size = static_cast<std::uint64_t>(st.st_size);
  header h;
  while (file_bytes_ + sizeof h <= size && read_exactly(file_.get(), &h, sizeof h, file_bytes_) &&
         plausible(h) && file_bytes_ + size_of(h) <= size) {
    std::string key(h.key_bytes, 0);
    if (!read_exactly(file_.get(), key.data(), key.size(), file_bytes_ + sizeof h)) break;
    auto at = file_bytes_;
    file_bytes_ += size_of(h);
    erase(key);
    if (h.status == status_forgotten) continue;
    entry e;
    e.fingerprint = h.fingerprint;
    e.at = h.status == status_begun ? phase::interrupted : phase::finished;
    e.time_ms = h.time_ms;
    e.position = h.position;
    e.offset = at;
    e.size = static_cast<std::uint32_t>(size_of(h));
    e.age = oldest_first_.insert(oldest_first_.end(), key);
    live_bytes_ += e.size;
    entries_.emplace(std::move(key), std::move(e));
  }
  if (file_bytes_ < size && ::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)) != 0)
    return os_error{errno, "drop a cut record of " + path_};
  return done{};
}

// The offset of the new record. `what` absent: begun.
outcome<std::uint64_t> key_ledger::write(std::string_view key, const entry& e, const remembered* what) {
  header h{};
  h.key_bytes = static_cast<std::uint32_t>(key.size());
  h.status = what ? what->status : status_begun;
  h.fingerprint = e.fingerprint;
  h.position = e.position;
  h.time_ms = e.time_ms;
  if (what) {
    h.type_bytes = static_cast<std::uint32_t>(what->content_type.size());
    h.body_bytes = static_cast<std::uint32_t>(what->body.size());
  }
  std::string record(reinterpret_cast<const char*>(&h), sizeof h);
  record.append(key);
  if (what) record.append(what->content_type).append(what->body);
  auto n = ::pwrite(file_.get(), record.data(), record.size(), static_cast<off_t>(file_bytes_));
  if (n != static_cast<ssize_t>(record.size())) {
    int failed = n < 0 ? errno : ENOSPC;
    if (::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)) != 0) failed = EIO;
    return os_error{failed, "write to the file of keys " + path_};
  }
  auto at = file_bytes_;
  file_bytes_ += record.size();
  live_bytes_ += record.size();
  return at;
}

key_ledger::seen key_ledger::begin(const std::string& key, std::uint64_t print, std::int64_t now_ms) {
  auto found = entries_.find(key);
  if (found != entries_.end()) {
    if (found->second.fingerprint != print) return seen::mismatch;
    switch (found->second.at) {
      case phase::running:
        return seen::running;
      case phase::finished:
        return seen::finished;
      case phase::interrupted:
        return seen::interrupted;
    }
  }
  if (!make_room(now_ms)) return seen::full;
  entry e;
  e.fingerprint = print;
  e.time_ms = now_ms;
  auto written = write(key, e, nullptr);
  if (!written) return seen::failed;
  e.offset = written.value();
  e.size = static_cast<std::uint32_t>(sizeof(header) + key.size());
  e.age = oldest_first_.insert(oldest_first_.end(), key);
  entries_.emplace(key, std::move(e));
  return seen::fresh;
}

void key_ledger::finish(const std::string& key, remembered what, std::int64_t now_ms) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return;
  auto& e = found->second;
  e.at = phase::finished;
  e.time_ms = now_ms;
  e.position = what.position;
  live_bytes_ -= e.size;
  auto written = write(key, e, &what);
  if (written) {
    e.offset = written.value();
    e.size = static_cast<std::uint32_t>(file_bytes_ - e.offset);
  } else {
    e.size = 0;
    e.unwritten = std::make_shared<remembered>(std::move(what));
  }
  for (auto& who : std::exchange(e.waiting, {})) who.raise();
}

void key_ledger::abandon(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return;
  auto waiting = std::exchange(found->second.waiting, {});
  remembered forgotten;
  forgotten.status = status_forgotten;
  if (auto written = write(key, found->second, &forgotten)) live_bytes_ -= file_bytes_ - written.value();
  erase(key);
  for (auto& who : waiting) who.raise();
}

outcome<remembered> key_ledger::recall(const std::string& key) const {
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.at != phase::finished) return os_error{ENOENT, "recall a key"};
  auto& e = found->second;
  if (e.unwritten) return *e.unwritten;
  header h;
  if (!read_exactly(file_.get(), &h, sizeof h, e.offset) || size_of(h) != e.size)
    return os_error{EIO, "read the file of keys " + path_};
  remembered out;
  out.status = h.status;
  out.position = h.position;
  out.content_type.resize(h.type_bytes);
  out.body.resize(h.body_bytes);
  auto at = e.offset + sizeof h + h.key_bytes;
  if (!read_exactly(file_.get(), out.content_type.data(), h.type_bytes, at) ||
      !read_exactly(file_.get(), out.body.data(), h.body_bytes, at + h.type_bytes))
    return os_error{EIO, "read the file of keys " + path_};
  return out;
}

std::optional<wire::signal> key_ledger::await(const std::string& key, wire::executor ex) {
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.at != phase::running) return std::nullopt;
  wire::signal who(ex);
  found->second.waiting.push_back(who);
  return who;
}

bool key_ledger::release(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.at == phase::running) return false;
  found->second.released = true;
  return true;
}

bool key_ledger::make_room(std::int64_t now_ms) {
  auto crowded = [&] { return entries_.size() >= options_.max_keys || live_bytes_ >= options_.max_bytes; };
  auto drop = [&](auto&& may_go) {
    for (auto at = oldest_first_.begin(); crowded() && at != oldest_first_.end();) {
      auto key = *at++;
      if (may_go(entries_.at(key))) erase(key);
    }
  };
  if (crowded())
    drop([&](const entry& e) {
      return e.released || (e.at == phase::finished && e.position > 0 && e.position <= released_to_);
    });
  if (crowded())
    drop([&](const entry& e) { return e.at != phase::running && now_ms - e.time_ms > options_.keep_ms; });
  if (file_bytes_ > compact_from_bytes && file_bytes_ > 2 * live_bytes_) compact();
  return !crowded();
}

void key_ledger::erase(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return;
  live_bytes_ -= found->second.size;
  oldest_first_.erase(found->second.age);
  entries_.erase(found);
}

// The records that are needed go to a new file that takes the old one's name. A failure leaves the old one.
void key_ledger::compact() {
  auto path = path_ + ".new";
  descriptor fresh(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fresh) return;
  std::vector<std::uint64_t> offsets;
  std::uint64_t size = 0;
  std::string record;
  for (auto& key : oldest_first_) {
    auto& e = entries_.at(key);
    offsets.push_back(size);
    if (e.size == 0) continue;
    record.resize(e.size);
    if (!read_exactly(file_.get(), record.data(), record.size(), e.offset) ||
        ::pwrite(fresh.get(), record.data(), record.size(), static_cast<off_t>(size)) !=
            static_cast<ssize_t>(record.size())) {
      ::unlink(path.c_str());
      return;
    }
    size += e.size;
  }
  if (::rename(path.c_str(), path_.c_str()) != 0) {
    ::unlink(path.c_str());
    return;
  }
  auto offset = offsets.begin();
  for (auto& key : oldest_first_) entries_.at(key).offset = *offset++;
  file_ = std::move(fresh);
  file_bytes_ = live_bytes_ = size;
}

}  // namespace troupe::sandboxd
