// Where the programs are that Troupe starts beside itself: sandboxd, and the scripted agent.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace troupe::cli {

/// This program's own file.
std::filesystem::path own_program();

/// In this order: `given` where it is not empty; the environment variable (TROUPE_SANDBOXD,
/// TROUPE_SCRIPTED_AGENT); beside this program; where the build leaves it; ../lib/troupe; PATH. Throws
/// failure naming the places that were tried.
std::filesystem::path find_sandboxd(const std::string& given = {});
std::filesystem::path find_scripted_agent(const std::string& given = {});

struct run_result {
  int exit_code = 0;  ///< 128 + n for signal n
  std::string output;
};
/// Runs a program to its end and takes its standard output (at most 1 MiB); standard error is passed on.
/// Throws failure when it cannot be started or takes longer.
run_result run_program(const std::vector<std::string>& argv, int seconds);

}  // namespace troupe::cli
