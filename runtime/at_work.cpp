#include "runtime/at_work.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace troupe {

namespace {

// A byte of length, which is written last and cleared first, and a key of at most 255.
constexpr std::size_t slot_size = 256;
// More threads than slots share some: then a mark may be lost, which blames nobody.
constexpr std::size_t slot_count = 256;
constexpr std::size_t file_size = slot_size * slot_count;

std::size_t number_of_this_thread() {
  static std::atomic<std::size_t> next = 0;
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed) % slot_count;
  return mine;
}

std::atomic_ref<unsigned char> length_of(char* slot) {
  return std::atomic_ref<unsigned char>(*reinterpret_cast<unsigned char*>(slot));
}

}  // namespace

at_work::at_work(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  void* at = MAP_FAILED;
  // Space is taken now: a full disk later would be a SIGBUS.
  if (::posix_fallocate(fd, 0, file_size) == 0) {
    at = ::mmap(nullptr, file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  ::close(fd);
  if (at == MAP_FAILED) return;
  slots_ = static_cast<char*>(at);
  for (std::size_t i = 0; i < slot_count; ++i) {
    char* slot = slots_ + i * slot_size;
    if (const std::size_t length = length_of(slot)) interrupted_.emplace(slot + 1, length);
  }
  std::memset(slots_, 0, file_size);
}

at_work::~at_work() {
  if (slots_) ::munmap(slots_, file_size);
}

char* at_work::slot() { return slots_ ? slots_ + number_of_this_thread() * slot_size : nullptr; }

void at_work::write(char* slot, const std::string& key) {
  if (!slot || key.size() >= slot_size) return;
  std::memcpy(slot + 1, key.data(), key.size());
  length_of(slot).store(static_cast<unsigned char>(key.size()), std::memory_order_release);
}

void at_work::clear(char* slot) {
  if (slot) length_of(slot).store(0, std::memory_order_release);
}

}  // namespace troupe
