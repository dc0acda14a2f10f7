// Starting one process, without a decision of its own: fork, a session, three pipes or a PTY, exec.
//
// Blocks until the new program runs or has failed to (well under a millisecond). Any thread may call it.
// Descriptors of the caller never reach the new program, whether they are close-on-exec or not.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

struct program {
  std::string path;  // as execve() wants it; a script without an interpreter line is given to /bin/sh
  std::vector<std::string> arguments;    // argv, its name included
  std::vector<std::string> environment;  // "NAME=value", all of it
  int directory = -1;                    // an open folder to start in; -1: the caller's
  bool terminal = false;
  std::uint16_t columns = 80;
  std::uint16_t rows = 24;
  bool ends_with_parent = false;  // killed when the thread that starts it ends (its descendants are not)
};

// The caller's ends, close-on-exec and non-blocking: the first three, or `terminal`.
struct child {
  pid_t pid = 0;
  descriptor input;
  descriptor output;
  descriptor error;
  descriptor terminal;
};

// The child leads a session and a process group of its own, has default signal dispositions and an empty
// mask. The error's text says which step failed ("start /bin/nothing", "enter the folder").
outcome<child> start_program(const program& what);

// Looks a program up as execvp() does, but in the given PATH and, for a relative name or PATH entry, from the
// open folder `directory` (AT_FDCWD: the caller's). ENOENT or EACCES.
outcome<std::string> find_in_path(const std::string& name, const std::string& path_variable, int directory);

// The same from a folder by name; "": the caller's.
outcome<std::string> find_in_path(const std::string& name, const std::string& path_variable,
                                  const std::string& directory = {});

}  // namespace troupe::sandboxd
