// A terminal whose output a test reads.
#pragma once

#include <cstdio>
#include <string>

#include "cli/terminal.h"

namespace troupe::cli::testing {

class capture {
 public:
  explicit capture(bool colour = false, int width = 80) : file_(std::tmpfile()), to(file_, colour, width) {}
  ~capture() { std::fclose(file_); }
  capture(const capture&) = delete;
  capture& operator=(const capture&) = delete;

  /// Everything that was written.
  std::string text() {
    std::fflush(file_);
    std::rewind(file_);
    std::string all;
    char buffer[4096];
    for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, file_)) > 0;) all.append(buffer, n);
    return all;
  }

 private:
  std::FILE* file_;

 public:
  terminal to;
};

}  // namespace troupe::cli::testing
