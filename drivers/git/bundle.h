// A git bundle (version 2): read, checked, and its objects taken into a mirror. libgit2 1.5 knows no bundles.
//
// A bundle comes out of a sandbox, so everything in it is an adversary's: the header is bounded, its pack is
// indexed with full verification, and references are written only where the caller says. Blocks; belongs on
// the pool.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "drivers/git/job.h"

namespace troupe::drivers::git {

inline constexpr std::size_t max_bundle_header = 1u << 20;  // bytes
inline constexpr std::size_t max_bundle_references = 1000;  // and as many prerequisites

struct bundle_reference {
  std::string name;
  std::string commit;
};

struct bundle_header {
  std::vector<std::string> needs;  // commits that must be there already
  std::vector<bundle_reference> references;
  std::uint64_t pack_offset = 0;

  // The commit of a reference; empty if it has none of that name.
  std::string find(std::string_view name) const;
};

attempt<bundle_header> read_bundle(const std::filesystem::path& file);

// The header, and that the file holds a whole pack: its checksum is right.
attempt<bundle_header> verify_bundle(const std::filesystem::path& file);

// Indexes the pack into the bare repository and lets `reference` there name the commit that `from` names in
// the bundle. Fails without any change when the bundle lacks it, when the repository lacks what the bundle
// needs, or when an object is not whole.
attempt<std::string> fetch_bundle(const std::filesystem::path& mirror, const std::filesystem::path& file,
                                  const std::string& from, const std::string& reference, job& with);

}  // namespace troupe::drivers::git
