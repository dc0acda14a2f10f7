#include "runtime/at_work.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>

namespace troupe {

namespace {

// A byte that says whether it crashed, one for the length of the key, and the key of at most 255.
constexpr std::size_t slot_size = 257;
// More threads than slots share some: then a mark may be lost, which blames nobody.
constexpr std::size_t slot_count = 256;
constexpr std::size_t file_size = slot_size * slot_count;
constexpr std::size_t crash_stack = 32 * 1024;

// Read by the crash handler.
thread_local char* current = nullptr;

// A thread that has run out of stack needs another one to say so.
struct thread_slot {
  std::size_t number;
  std::unique_ptr<char[]> stack{new char[crash_stack]};

  thread_slot() {
    static std::atomic<std::size_t> next = 0;
    number = next.fetch_add(1, std::memory_order_relaxed) % slot_count;
    stack_t before{};
    ::sigaltstack(nullptr, &before);
    if (!(before.ss_flags & SS_DISABLE)) return;
    stack_t mine{};
    mine.ss_sp = stack.get();
    mine.ss_size = crash_stack;
    ::sigaltstack(&mine, nullptr);
  }
  ~thread_slot() {
    stack_t now{};
    ::sigaltstack(nullptr, &now);
    if (now.ss_sp != stack.get()) return;
    stack_t off{};
    off.ss_flags = SS_DISABLE;
    ::sigaltstack(&off, nullptr);
  }
};

void on_crash(int signal) {
  if (current) *current = 1;
  ::raise(signal);  // Held back until this returns; then nothing handles it any more.
}

void watch_crashes() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction now {};
    if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) continue;
    struct sigaction mine {};
    mine.sa_handler = on_crash;
    mine.sa_flags = SA_RESETHAND | SA_ONSTACK;
    ::sigaction(signal, &mine, nullptr);
  }
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
    const char* slot = slots_ + i * slot_size;
    if (slot[0] == 1) crashed_.emplace(slot + 2, static_cast<unsigned char>(slot[1]));
  }
  std::memset(slots_, 0, file_size);
  watch_crashes();
}

at_work::~at_work() {
  if (slots_) ::munmap(slots_, file_size);
}

at_work::mark::mark(at_work& all, const key& k) {
  if (!all.slots_ || k.str().size() > 255) return;
  thread_local const thread_slot mine;
  char* slot = all.slots_ + mine.number * slot_size;
  slot[1] = static_cast<char>(k.str().size());
  std::memcpy(slot + 2, k.str().data(), k.str().size());
  std::atomic_signal_fence(std::memory_order_release);
  current = slot;
}

at_work::mark::~mark() {
  current = nullptr;
}

}  // namespace troupe
