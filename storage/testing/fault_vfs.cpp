#include "storage/testing/fault_vfs.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

#include <sqlite3.h>

#include "storage/database.h"
#include "storage/testing/disk_image.h"

namespace troupe::storage::testing {

struct fault_vfs::state {
  sqlite3_vfs vfs{};
  sqlite3_vfs* real = nullptr;
  std::string name;

  mutable std::mutex mutex;
  struct file {
    std::size_t number;
    disk_image image;
  };
  std::map<std::string, file> files;
  disk_record* record = nullptr;
  std::mt19937_64 random;
  std::vector<plan> plans;
  std::array<std::uint64_t, 7> counts{};
  std::uint64_t failures = 0;
  std::uint64_t steps = 0;
  std::uint64_t cut_in = 0;  // steps until the cut; 0: none
  bool powered = true;
  bool accounts = true;

  // The fault that meets this operation, if any. With `mutex` held.
  std::optional<fault> meet(operation, std::string_view path, bool changes_disk);
  file& find(const std::string& path);
  void happened(file&, disk_event);
  void folder_synced(const std::filesystem::path& entry);
};

namespace {

struct open_file {
  sqlite3_file base;
  fault_vfs::state* owner;
  fault_vfs::state::file* file;  // null for SQLite's own temporary files
  std::string* path;
  bool syncs_folder;   // SQLite syncs the folder too when a journal or log is synced for the first time
  sqlite3_file* real;  // in the same block, behind this

  // With the owner's mutex held.
  void tell(disk_event e) const {
    if (file) owner->happened(*file, std::move(e));
  }
};

open_file* self(sqlite3_file* f) {
  return reinterpret_cast<open_file*>(f);
}
fault_vfs::state* self(sqlite3_vfs* v) {
  return static_cast<fault_vfs::state*>(v->pAppData);
}

int code_of(fault what, int io) {
  return what == fault::io ? io : SQLITE_FULL;
}

int on_close(sqlite3_file* f) {
  auto* file = self(f);
  int code = file->real->pMethods->xClose(file->real);
  delete file->path;
  return code;
}

int on_read(sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
  auto* file = self(f);
  {
    std::lock_guard lock(file->owner->mutex);
    if (file->owner->meet(operation::read, *file->path, false)) return SQLITE_IOERR_READ;
  }
  return file->real->pMethods->xRead(file->real, to, size, offset);
}

int on_write(sqlite3_file* f, const void* from, int size, sqlite3_int64 offset) {
  auto* file = self(f);
  std::lock_guard lock(file->owner->mutex);
  auto met = file->owner->meet(operation::write, *file->path, true);
  if (met && *met != fault::torn) return code_of(*met, SQLITE_IOERR_WRITE);
  if (met) size /= 2;
  int code = file->real->pMethods->xWrite(file->real, from, size, offset);
  if (file->file)
    file->tell({disk_event::kind::written, static_cast<std::uint64_t>(offset),
                std::string(static_cast<const char*>(from), static_cast<std::size_t>(size))});
  return met ? SQLITE_FULL : code;
}

int on_truncate(sqlite3_file* f, sqlite3_int64 size) {
  auto* file = self(f);
  std::lock_guard lock(file->owner->mutex);
  if (auto met = file->owner->meet(operation::truncate, *file->path, true))
    return code_of(*met, SQLITE_IOERR_TRUNCATE);
  int code = file->real->pMethods->xTruncate(file->real, size);
  file->tell({disk_event::kind::truncated, static_cast<std::uint64_t>(size)});
  return code;
}

// The real sync is left out: nothing here survives a real power cut, and tests are faster without.
int on_sync(sqlite3_file* f, int) {
  auto* file = self(f);
  std::lock_guard lock(file->owner->mutex);
  if (auto met = file->owner->meet(operation::sync, *file->path, true)) {
    if (file->owner->powered) file->tell({disk_event::kind::sync_failed});
    return code_of(*met, SQLITE_IOERR_FSYNC);
  }
  file->tell({disk_event::kind::synced});
  if (file->syncs_folder) file->owner->folder_synced(*file->path);
  file->syncs_folder = false;
  return SQLITE_OK;
}

int on_size(sqlite3_file* f, sqlite3_int64* size) {
  return self(f)->real->pMethods->xFileSize(self(f)->real, size);
}
int on_lock(sqlite3_file* f, int level) {
  return self(f)->real->pMethods->xLock(self(f)->real, level);
}
int on_unlock(sqlite3_file* f, int level) {
  return self(f)->real->pMethods->xUnlock(self(f)->real, level);
}
int on_reserved(sqlite3_file* f, int* out) {
  return self(f)->real->pMethods->xCheckReservedLock(self(f)->real, out);
}
int on_control(sqlite3_file* f, int op, void* arg) {
  return self(f)->real->pMethods->xFileControl(self(f)->real, op, arg);
}
int on_sector(sqlite3_file* f) {
  return self(f)->real->pMethods->xSectorSize(self(f)->real);
}
int on_device(sqlite3_file* f) {
  return self(f)->real->pMethods->xDeviceCharacteristics(self(f)->real);
}

int on_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  auto* file = self(f);
  {
    std::lock_guard lock(file->owner->mutex);
    if (auto met = file->owner->meet(operation::share, *file->path, false))
      return code_of(*met, SQLITE_IOERR_SHMMAP);
  }
  return file->real->pMethods->xShmMap(file->real, page, size, extend, out);
}
int on_shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  return self(f)->real->pMethods->xShmLock(self(f)->real, offset, n, flags);
}
void on_shm_barrier(sqlite3_file* f) {
  self(f)->real->pMethods->xShmBarrier(self(f)->real);
}
int on_shm_unmap(sqlite3_file* f, int remove) {
  return self(f)->real->pMethods->xShmUnmap(self(f)->real, remove);
}

// Version 2: with the log's shared index, without memory-mapped reads that would go around us.
constexpr sqlite3_io_methods methods{
    2,           on_close,       on_read,      on_write,   on_truncate, on_sync,   on_size,
    on_lock,     on_unlock,      on_reserved,  on_control, on_sector,   on_device, on_shm_map,
    on_shm_lock, on_shm_barrier, on_shm_unmap, nullptr,    nullptr};

int on_open(sqlite3_vfs* v, sqlite3_filename name, sqlite3_file* f, int flags, int* out_flags) {
  auto* owner = self(v);
  auto* file = self(f);
  file->base.pMethods = nullptr;
  std::string path = name ? name : "";
  std::lock_guard lock(owner->mutex);
  bool creates = name && (flags & SQLITE_OPEN_CREATE) != 0 && !std::filesystem::exists(path);
  if (owner->meet(operation::open, path, creates)) return SQLITE_CANTOPEN;
  auto* known = name && owner->accounts ? &owner->find(path) : nullptr;
  file->real = reinterpret_cast<sqlite3_file*>(file + 1);
  int code = owner->real->xOpen(owner->real, name, file->real, flags, out_flags);
  if (code != SQLITE_OK) {
    if (file->real->pMethods) file->real->pMethods->xClose(file->real);
    return code;
  }
  file->owner = owner;
  file->file = known;
  if (creates) file->tell({disk_event::kind::created});
  file->path = new std::string(path);
  file->syncs_folder =
      (flags & SQLITE_OPEN_CREATE) != 0 &&
      (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  file->base.pMethods = &methods;
  return SQLITE_OK;
}

int on_remove(sqlite3_vfs* v, const char* name, int sync_folder) {
  auto* owner = self(v);
  std::lock_guard lock(owner->mutex);
  if (owner->meet(operation::remove, name, true)) return SQLITE_IOERR_DELETE;
  auto* known = owner->accounts ? &owner->find(name) : nullptr;  // before it is gone
  int code = owner->real->xDelete(owner->real, name, 0);
  if (code == SQLITE_OK && known) owner->happened(*known, {disk_event::kind::removed});
  if (code == SQLITE_OK && sync_folder) owner->folder_synced(name);
  return code;
}

// WAL salts and the like: the same in every run.
int on_randomness(sqlite3_vfs* v, int size, char* to) {
  auto* owner = self(v);
  std::lock_guard lock(owner->mutex);
  for (int i = 0; i < size; ++i) to[i] = static_cast<char>(owner->random());
  return size;
}

std::optional<std::string> on_file_system(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream out;
  out << file.rdbuf();
  return std::move(out).str();
}

std::atomic<int> last_number{0};

}  // namespace

std::optional<fault> fault_vfs::state::meet(operation op, std::string_view path, bool changes_disk) {
  ++counts[static_cast<std::size_t>(op)];
  if (!powered) return fault::io;
  if (changes_disk) {
    ++steps;
    if (cut_in > 0 && --cut_in == 0) {
      powered = false;
      return fault::io;
    }
  }
  for (auto& p : plans) {
    if (p.on != op || p.times == 0) continue;
    if (!p.path_part.empty() && path.find(p.path_part) == std::string_view::npos) continue;
    if (p.nth > 1) {
      --p.nth;
      continue;
    }
    if (p.times != plan::forever) --p.times;
    ++failures;
    return p.what;
  }
  return std::nullopt;
}

fault_vfs::state::file& fault_vfs::state::find(const std::string& path) {
  if (auto known = files.find(path); known != files.end()) return known->second;
  auto content = on_file_system(path);
  if (record) record->files.push_back({path, content});
  auto image = content ? disk_image(std::move(*content)) : disk_image();
  return files.try_emplace(path, file{files.size(), std::move(image)}).first->second;
}

void fault_vfs::state::happened(file& f, disk_event e) {
  f.image.happened(e);
  if (record) record->events.push_back({f.number, std::move(e)});
}

void fault_vfs::state::folder_synced(const std::filesystem::path& entry) {
  for (auto& [path, f] : files)
    if (std::filesystem::path(path).parent_path() == entry.parent_path())
      happened(f, {disk_event::kind::folder_synced});
}

fault_vfs::fault_vfs(reach r) : state_(std::make_unique<state>()) {
  configure();
  auto& s = *state_;
  s.real = sqlite3_vfs_find(nullptr);
  s.name = "fault-" + std::to_string(++last_number);
  s.vfs = *s.real;  // time and paths are the real ones
  s.vfs.iVersion = 2;
  s.vfs.zName = s.name.c_str();
  s.vfs.pNext = nullptr;
  s.vfs.pAppData = &s;
  s.vfs.szOsFile = static_cast<int>(sizeof(open_file)) + s.real->szOsFile;
  s.vfs.xOpen = on_open;
  s.vfs.xDelete = on_remove;
  s.vfs.xRandomness = on_randomness;
  if (sqlite3_vfs_register(&s.vfs, r == reach::everything) != SQLITE_OK)
    throw std::runtime_error("could not register the failing disk");
  if (r == reach::everything) sqlite3_randomness(0, nullptr);  // SQLite asks this layer for a new seed
}

fault_vfs::~fault_vfs() {
  sqlite3_vfs_unregister(&state_->vfs);
}

const char* fault_vfs::name() const {
  return state_->name.c_str();
}

void fault_vfs::inject(plan p) {
  std::lock_guard lock(state_->mutex);
  state_->plans.push_back(std::move(p));
}

void fault_vfs::clear() {
  std::lock_guard lock(state_->mutex);
  state_->plans.clear();
}

std::uint64_t fault_vfs::count(operation op) const {
  std::lock_guard lock(state_->mutex);
  return state_->counts[static_cast<std::size_t>(op)];
}

std::uint64_t fault_vfs::failures() const {
  std::lock_guard lock(state_->mutex);
  return state_->failures;
}

std::uint64_t fault_vfs::steps() const {
  std::lock_guard lock(state_->mutex);
  return state_->steps;
}

void fault_vfs::record(disk_record* to, const std::filesystem::path& folder) {
  std::lock_guard lock(state_->mutex);
  if (to && !state_->files.empty()) throw std::logic_error("a record begins before the first file is open");
  state_->record = to;
  std::error_code none;
  for (const auto& e : std::filesystem::recursive_directory_iterator(folder, none))
    if (to && e.is_regular_file()) state_->find(e.path());
}

void fault_vfs::expect_no_power_cut() {
  std::lock_guard lock(state_->mutex);
  state_->accounts = false;
}

void fault_vfs::notice_moved_files() {
  std::lock_guard lock(state_->mutex);
  for (auto& [path, f] : state_->files) {
    if (!f.image.there() || std::filesystem::exists(path)) continue;
    state_->happened(f, {disk_event::kind::removed});
    state_->happened(f, {disk_event::kind::folder_synced});
  }
}

void fault_vfs::cut_power_at(std::uint64_t nth) {
  std::lock_guard lock(state_->mutex);
  state_->cut_in = nth;
}

bool fault_vfs::powered() const {
  std::lock_guard lock(state_->mutex);
  return state_->powered;
}

void fault_vfs::restart(std::uint64_t seed) {
  std::lock_guard lock(state_->mutex);
  std::mt19937_64 random(seed);
  for (auto& [path, f] : state_->files) {
    auto left = f.image.after_power_cut(seed == without_unsynced ? nullptr : &random);
    std::error_code ignored;
    if (left)
      std::ofstream(path, std::ios::binary | std::ios::trunc) << *left;
    else
      std::filesystem::remove(path, ignored);
    std::filesystem::remove(path + "-shm", ignored);
    f.image = left ? disk_image(std::move(*left)) : disk_image();
  }
  state_->plans.clear();
  state_->cut_in = 0;
  state_->powered = true;
}

}  // namespace troupe::storage::testing
