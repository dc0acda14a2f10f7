#include "sandboxd/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace troupe::sandboxd {
namespace {

constexpr std::uint32_t max_record_bytes = 64 << 20;
constexpr const char* segment_suffix = ".seg";

// Of this machine's byte order: a spool is never read elsewhere.
struct header {
  std::uint32_t bytes;
  std::uint32_t kind;
  std::uint64_t sequence;
  std::int64_t time_ms;
};
static_assert(sizeof(header) == 24);

struct acknowledgement {
  std::uint64_t has_consumer;
  std::uint64_t sequence;
};

bool read_exactly(int fd, void* into, std::size_t size, std::uint64_t at) {
  auto* p = static_cast<char*>(into);
  while (size > 0) {
    auto n = ::pread(fd, p, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    at += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

std::uint64_t file_size(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? static_cast<std::uint64_t>(st.st_size) : 0;
}

}  // namespace

std::string spool::segment_path(std::uint64_t first) const {
  char name[32];
  std::snprintf(name, sizeof name, "/%020llu", static_cast<unsigned long long>(first));
  return folder_ + name + segment_suffix;
}

outcome<std::unique_ptr<spool>> spool::open(std::string folder, spool_options options) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return os_error{errno, "make the spool folder " + folder};
  std::unique_ptr<spool> made(new spool(std::move(folder), options));
  auto recovered = made->recover();
  if (!recovered) return recovered.error();
  return made;
}

outcome<done> spool::recover() {
  DIR* d = ::opendir(folder_.c_str());
  if (!d) return os_error{errno, "read the spool folder " + folder_};
  while (auto* e = ::readdir(d)) {
    std::string name = e->d_name;
    if (name.size() != 24 || name.compare(20, 4, segment_suffix) != 0) continue;
    segments_[std::strtoull(name.c_str(), nullptr, 10)] = {};
  }
  ::closedir(d);
  // Every record is looked at once: a segment ends at its first record that is cut or out of order.
  for (auto at = segments_.begin(); at != segments_.end(); ++at) {
    auto path = segment_path(at->first);
    descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return os_error{errno, "open the spool file " + path};
    auto size = file_size(fd.get());
    auto& s = at->second;
    s.last = at->first - 1;
    header h;
    while (s.bytes + sizeof h <= size && read_exactly(fd.get(), &h, sizeof h, s.bytes) &&
           h.bytes <= max_record_bytes && h.sequence == s.last + 1 && s.bytes + sizeof h + h.bytes <= size) {
      s.bytes += sizeof h + h.bytes;
      s.last = h.sequence;
    }
    if (s.bytes < size && ::ftruncate(fd.get(), static_cast<off_t>(s.bytes)) != 0)
      return os_error{errno, "drop a cut record of " + path};
    stored_bytes_ += s.bytes;
    last_ = s.last;
    if (std::next(at) == segments_.end()) active_ = std::move(fd);
  }
  if (active_) ::lseek(active_.get(), 0, SEEK_END);
  descriptor ack(::open((folder_ + "/ack").c_str(), O_RDONLY | O_CLOEXEC));
  acknowledgement a;
  if (ack && read_exactly(ack.get(), &a, sizeof a, 0)) {
    has_consumer_ = a.has_consumer != 0;
    acknowledged_ = std::min(a.sequence, last_);
  }
  if (has_consumer_) count_unacknowledged();
  return done{};
}

// From the acknowledged record on; used when a consumer appears and after a restart.
void spool::count_unacknowledged() {
  unacknowledged_bytes_ = 0;
  acknowledged_at_ = std::make_unique<cursor>(*this, acknowledged_);
  cursor count(*this, acknowledged_);
  header h;
  while (count.next_ <= last_) {
    auto found = count.find();
    if (!found || !found.value() || !read_exactly(count.file_.get(), &h, sizeof h, count.offset_)) break;
    unacknowledged_bytes_ += sizeof h + h.bytes;
    count.offset_ += sizeof h + h.bytes;
    ++count.next_;
  }
}

outcome<done> spool::start_segment() {
  auto path = segment_path(last_ + 1);
  descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return os_error{errno, "make the spool file " + path};
  active_ = std::move(fd);
  segments_[last_ + 1] = {0, last_};
  return done{};
}

outcome<std::uint64_t> spool::append(std::uint32_t kind, std::int64_t time_ms, std::string_view bytes) {
  if (bytes.size() > max_record_bytes) return os_error{EMSGSIZE, "keep a record in the spool " + folder_};
  if (!active_ || segments_.rbegin()->second.bytes >= options_.segment_bytes) {
    auto started = start_segment();
    if (!started) return started.error();
  }
  auto& s = segments_.rbegin()->second;
  header h{static_cast<std::uint32_t>(bytes.size()), kind, last_ + 1, time_ms};
  iovec parts[2] = {{&h, sizeof h}, {const_cast<char*>(bytes.data()), bytes.size()}};
  auto size = sizeof h + bytes.size();
  auto n = ::writev(active_.get(), parts, 2);
  auto written = n < 0 ? 0 : static_cast<std::size_t>(n);
  while (n >= 0 && written < size) {
    // The kernel took a part: a full disk shows itself with the rest.
    const char* rest = written < sizeof h ? reinterpret_cast<const char*>(&h) + written
                                          : bytes.data() + (written - sizeof h);
    auto length = written < sizeof h ? sizeof h - written : size - written;
    n = ::write(active_.get(), rest, length);
    if (n < 0 && errno == EINTR) n = 0;
    if (n > 0) written += static_cast<std::size_t>(n);
  }
  if (written != size) {
    int failed = errno;
    // What is half there must not stand before the next attempt.
    if (::ftruncate(active_.get(), static_cast<off_t>(s.bytes)) == 0) ::lseek(active_.get(), 0, SEEK_END);
    return os_error{failed, "write to the spool " + folder_};
  }
  ++last_;
  s.bytes += size;
  s.last = last_;
  stored_bytes_ += size;
  if (has_consumer_) unacknowledged_bytes_ += size;
  drop_old();
  wake();
  return last_;
}

void spool::drop_old() {
  while (segments_.size() > 1) {
    auto oldest = segments_.begin();
    auto& s = oldest->second;
    if (has_consumer_ && s.last > acknowledged_) return;
    bool beyond_ring = options_.ring_records && last_ - s.last >= options_.ring_records;
    if (stored_bytes_ <= options_.capacity_bytes && !beyond_ring) return;
    ::unlink(segment_path(oldest->first).c_str());
    stored_bytes_ -= s.bytes;
    segments_.erase(oldest);
  }
}

std::uint64_t spool::first() const {
  auto kept = segments_.empty() ? last_ + 1 : segments_.begin()->first;
  if (!options_.ring_records || last_ < options_.ring_records) return kept;
  auto ring = last_ - options_.ring_records + 1;
  if (has_consumer_) ring = std::min(ring, acknowledged_ + 1);
  return std::max(kept, ring);
}

outcome<done> spool::acknowledge(std::uint64_t sequence) {
  if (sequence > last_)
    return os_error{EINVAL,
                    "acknowledge " + std::to_string(sequence) + ": the last one is " + std::to_string(last_)};
  if (has_consumer_ && sequence <= acknowledged_) return done{};
  auto target = std::max(acknowledged_, sequence);
  auto stored = store_acknowledgement(target);
  if (!stored) return stored;
  // Counted while the old mark still stands: a cursor skips what the ring no longer shows, and the new mark
  // lets go.
  bool counted = has_consumer_ && acknowledged_at_;
  header h;
  while (counted && acknowledged_at_->next_ <= target) {
    auto& at = *acknowledged_at_;
    auto found = at.find();
    counted = found && found.value() && read_exactly(at.file_.get(), &h, sizeof h, at.offset_);
    if (!counted) break;
    unacknowledged_bytes_ -= sizeof h + h.bytes;
    at.offset_ += sizeof h + h.bytes;
    ++at.next_;
  }
  has_consumer_ = true;
  acknowledged_ = target;
  if (!counted) count_unacknowledged();
  drop_old();
  wake();
  return done{};
}

outcome<done> spool::store_acknowledgement(std::uint64_t sequence) {
  auto path = folder_ + "/ack";
  descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  acknowledgement a{1, sequence};
  if (!fd || ::pwrite(fd.get(), &a, sizeof a, 0) != static_cast<ssize_t>(sizeof a))
    return os_error{errno, "write " + path};
  return done{};
}

std::uint64_t spool::watch(wire::signal who) {
  watchers_.emplace(next_watcher_, std::move(who));
  return next_watcher_++;
}

void spool::unwatch(std::uint64_t watcher) {
  watchers_.erase(watcher);
}

void spool::wake() const {
  for (auto& [number, who] : watchers_) who.raise();
}

// Puts the file and the offset at record next_. False: it is not written yet.
outcome<bool> spool::cursor::find() {
  auto& s = *spool_;
  if (next_ < s.first()) {
    next_ = s.first();
    segment_ = 0;
  }
  if (next_ > s.last_) return false;
  auto holder = std::prev(s.segments_.upper_bound(next_));
  // Only after a damaged segment, which recovery has cut short.
  if (next_ > holder->second.last) next_ = (++holder)->first;
  if (segment_ == holder->first) return true;
  auto path = s.segment_path(holder->first);
  file_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_) return os_error{errno, "open the spool file " + path};
  segment_ = holder->first;
  offset_ = 0;
  header h;
  for (auto n = segment_; n < next_; ++n) {
    if (!read_exactly(file_.get(), &h, sizeof h, offset_))
      return os_error{EIO, "read the spool file " + path};
    offset_ += sizeof h + h.bytes;
  }
  return true;
}

outcome<std::optional<spool_record>> spool::cursor::next() {
  auto found = find();
  if (!found) return found.error();
  if (!found.value()) return std::optional<spool_record>();
  header h;
  spool_record out;
  if (!read_exactly(file_.get(), &h, sizeof h, offset_) || h.sequence != next_ || h.bytes > max_record_bytes)
    return os_error{EIO, "read the spool " + spool_->folder_};
  out.bytes.resize(h.bytes);
  if (!read_exactly(file_.get(), out.bytes.data(), h.bytes, offset_ + sizeof h))
    return os_error{EIO, "read the spool " + spool_->folder_};
  out.sequence = h.sequence;
  out.time_ms = h.time_ms;
  out.kind = h.kind;
  offset_ += sizeof h + h.bytes;
  ++next_;
  return std::optional<spool_record>(std::move(out));
}

}  // namespace troupe::sandboxd
