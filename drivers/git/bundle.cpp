#include "drivers/git/bundle.h"

#include <cstring>
#include <fstream>

#include "drivers/git/handles.h"
#include "drivers/git/script_run.h"

namespace troupe::drivers::git {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t checksum_bytes = 20;  // SHA-1, behind a pack
constexpr std::size_t pack_header_bytes = 12;
constexpr std::size_t piece_bytes = 1u << 16;

failed broken(const fs::path& file, const std::string& why) {
  return git_failed("reading the bundle " + file.filename().string() + ": " + why);
}

}  // namespace

std::string bundle_header::find(std::string_view name) const {
  for (const auto& reference : references) {
    if (reference.name == name) return reference.commit;
  }
  return {};
}

attempt<bundle_header> read_bundle(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string line;
  if (!in) return broken(file, "it cannot be opened");
  std::size_t read = 0;
  const auto next = [&] {
    line.clear();
    for (char c; read < max_bundle_header && in.get(c);) {
      ++read;
      if (c == '\n') return true;
      line += c;
    }
    return false;
  };
  if (!next() || line != "# v2 git bundle") return broken(file, "it is not a bundle of version 2");
  bundle_header header;
  while (next()) {
    if (line.empty()) {
      header.pack_offset = read;
      return header;
    }
    const bool need = line.front() == '-';
    const auto text = std::string_view(line).substr(need ? 1 : 0);
    const auto space = text.find(' ');
    const auto id = text.substr(0, space);
    if (!is_commit_id(id)) return broken(file, "its header has a line that is none");
    if (need) {
      header.needs.emplace_back(id);
    } else if (space != std::string_view::npos) {
      header.references.push_back({std::string(text.substr(space + 1)), std::string(id)});
    }
    if (header.needs.size() > max_bundle_references || header.references.size() > max_bundle_references) {
      return broken(file, "its header names more than 1000 references");
    }
  }
  return broken(file, "its header does not end");
}

attempt<bundle_header> verify_bundle(const fs::path& file) {
  auto header = read_bundle(file);
  if (!header) return header;
  std::error_code ec;
  const auto size = fs::file_size(file, ec);
  if (ec || size < header->pack_offset + pack_header_bytes + checksum_bytes)
    return broken(file, "its pack is cut off");
  std::ifstream in(file, std::ios::binary);
  char magic[4];
  in.seekg(static_cast<std::streamoff>(header->pack_offset));
  if (!in.read(magic, sizeof magic) || std::memcmp(magic, "PACK", 4) != 0)
    return broken(file, "it holds no pack");
  return header;
}

attempt<std::string> fetch_bundle(const fs::path& mirror, const fs::path& file, const std::string& from,
                                  const std::string& reference, job& with) {
  const auto about = "taking the bundle " + file.filename().string() + " into the mirror";
  auto header = verify_bundle(file);
  if (!header) return header.error();
  const auto commit = header->find(from);
  if (commit.empty()) return git_failed(about + ": it has no reference " + from);
  return with.run([&]() -> attempt<std::string> {
    repository_ptr repository;
    odb_ptr objects;
    int code = into(repository, [&](git_repository** out) {
      return git_repository_open_ext(out, mirror.c_str(),
                                     GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
    });
    if (code == 0)
      code = into(objects, [&](git_odb** out) { return git_repository_odb(out, repository.get()); });
    if (code < 0) return with.words(about, code);
    for (const auto& need : header->needs) {
      git_oid id;
      if (git_oid_fromstr(&id, need.c_str()) < 0 || git_odb_exists(objects.get(), &id) != 1) {
        return git_failed(about + ": it stands on commit " + need +
                          ", which the mirror does not have; refresh the mirror");
      }
    }

    git_indexer_options options = GIT_INDEXER_OPTIONS_INIT;
    options.verify = 1;  // that what the pack's objects refer to is there
    options.progress_cb = [](const git_indexer_progress*, void* payload) {
      return static_cast<job*>(payload)->ended() ? -1 : 0;
    };
    options.progress_cb_payload = &with;
    indexer_ptr indexer;
    const auto packs = mirror / "objects" / "pack";
    code = into(indexer, [&](git_indexer** out) {
      return git_indexer_new(out, packs.c_str(), 0444, objects.get(), &options);
    });
    if (code < 0) return with.words(about, code);
    git_indexer_progress progress{};
    std::ifstream in(file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(header->pack_offset));
    std::string piece(piece_bytes, '\0');
    while (code == 0 && in) {
      in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      if (in.gcount() > 0) {
        code =
            git_indexer_append(indexer.get(), piece.data(), static_cast<std::size_t>(in.gcount()), &progress);
      }
    }
    if (code == 0) code = git_indexer_commit(indexer.get(), &progress);
    if (code < 0) return with.words(about, code);

    git_oid id;
    reference_ptr made;
    code = git_oid_fromstr(&id, commit.c_str());
    if (code == 0) code = git_odb_refresh(objects.get());
    if (code == 0 && git_odb_exists(objects.get(), &id) != 1) {
      return git_failed(about + ": it lacks the commit " + commit + " that it names");
    }
    if (code == 0) {
      code = into(made, [&](git_reference** out) {
        return git_reference_create(out, repository.get(), reference.c_str(), &id, 1, "bundle");
      });
    }
    if (code < 0) return with.words(about, code);
    return commit;
  });
}

}  // namespace troupe::drivers::git
