// Owners of libgit2's objects.
#pragma once

#include <memory>

#include <git2.h>

namespace troupe::drivers::git {

template <auto Free>
struct freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using repository_ptr = std::unique_ptr<git_repository, freer<git_repository_free>>;
using remote_ptr = std::unique_ptr<git_remote, freer<git_remote_free>>;
using config_ptr = std::unique_ptr<git_config, freer<git_config_free>>;
using odb_ptr = std::unique_ptr<git_odb, freer<git_odb_free>>;
using indexer_ptr = std::unique_ptr<git_indexer, freer<git_indexer_free>>;
using reference_ptr = std::unique_ptr<git_reference, freer<git_reference_free>>;

// Calls `make(&raw)` and keeps what it gave.
template <class Ptr, class F>
int into(Ptr& kept, F&& make) {
  typename Ptr::pointer raw = nullptr;
  const int code = make(&raw);
  kept.reset(raw);
  return code;
}

}  // namespace troupe::drivers::git
