// Linked into programs that run inside of sandboxes when sanitizers are on: the leak check wants to trace the
// process, which no sandbox allows.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}
