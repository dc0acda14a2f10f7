#include "drivers/git/scripts.h"

namespace troupe::drivers::git::scripts {

// filters_off: filters are named by .gitattributes and defined in the repository's own configuration, which
// an agent writes. Each that is defined gets an empty command, which git takes as none.
//
// upload_pack: the mirror belongs to another user, which git refuses to read from unless its own command line
// says that it is safe.
const std::string_view common = R"sh(
set -eu
umask 022
upload_pack="git -c 'safe.directory=*' -c uploadpack.allowAnySHA1InWant=true upload-pack"
die() { code=$1; shift; echo "$*" >&2; exit "$code"; }
enter() {
  cd "$1" || die 26 "there is no folder $1"
  g=$(git rev-parse --absolute-git-dir) || die 26 "$1 has no git repository any more"
}
filters_off() {
  n=$GIT_CONFIG_COUNT
  while read -r name; do
    [ -n "$name" ] || continue
    case $name in *.required) value=false ;; *) value= ;; esac
    export "GIT_CONFIG_KEY_$n=$name" "GIT_CONFIG_VALUE_$n=$value"
    n=$((n + 1))
  done <<END_OF_NAMES
$(git config --name-only --get-regexp '^filter\.' || true)
END_OF_NAMES
  export GIT_CONFIG_COUNT=$n
}
folder() {
  out=$g/troupe-$1
  rm -rf "$out"
  mkdir "$out"
}
)sh";

const std::string_view checkout = R"sh(
w=$1 mirror=$2 url=$3 branch=$4 base_branch=$5 existing=$6 name=$7 email=$8
git check-ref-format --branch "$branch" >/dev/null 2>&1 || die 23 "'$branch' is not a branch name"
mkdir -p "$w"
git init -q --template= "$w"
cd "$w"
# Nobody else works here yet: a lock is what an attempt that was killed left behind.
rm -f .git/index.lock
git config user.name "$name"
git config user.email "$email"
git config remote.origin.url "$url"
git config --replace-all remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
git fetch -q --no-tags --prune --upload-pack="$upload_pack" "$mirror" \
  '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
rm -f .git/FETCH_HEAD
has() { git rev-parse -q --verify "$1^{commit}" >/dev/null; }
if has "refs/remotes/origin/$base_branch"; then
  git symbolic-ref refs/remotes/origin/HEAD "refs/remotes/origin/$base_branch"
fi
if has "refs/heads/$branch"; then
  git checkout -q "$branch" --
elif has "refs/remotes/origin/$branch"; then
  git checkout -q -b "$branch" --track "origin/$branch"
elif [ "$existing" = 1 ]; then
  die 21 "the repository has no branch '$branch'"
elif has "refs/remotes/origin/$base_branch"; then
  git checkout -q --no-track -b "$branch" "refs/remotes/origin/$base_branch" --
  git config troupe.created true
elif [ -z "$(git for-each-ref --count=1 refs/remotes/origin)" ]; then
  git symbolic-ref HEAD "refs/heads/$branch"
  git config troupe.created true
else
  die 22 "the repository has no branch '$base_branch' to begin from"
fi
head=$(git rev-parse -q --verify 'HEAD^{commit}' || true)
if [ -z "$head" ]; then
  base=$(git hash-object -t tree -w /dev/null)
elif has "refs/remotes/origin/$base_branch"; then
  base=$(git merge-base HEAD "refs/remotes/origin/$base_branch" || git rev-parse "refs/remotes/origin/$base_branch")
else
  base=$head
fi
echo "head=$head"
echo "base=$base"
echo "created=$(git config --default false troupe.created)"
)sh";

const std::string_view diff = R"sh(
enter "$1"
base=$2
filters_off
git cat-file -e "$base^{tree}" 2>/dev/null || die 24 "the commit $base is not in the repository any more"
folder "$3"
mkdir "$out/objects"
git ls-files --others --exclude-standard -z | head -c 8388608 >"$out/untracked"
# The whole work tree as a tree, without touching the agent's index and without leaving objects behind.
if [ -f "$g/index" ]; then cp "$g/index" "$out/index"; fi
export GIT_INDEX_FILE="$out/index" GIT_OBJECT_DIRECTORY="$out/objects" GIT_ALTERNATE_OBJECT_DIRECTORIES="$g/objects"
git add -A --ignore-errors . 2>"$out/warnings" || true
head=$(git rev-parse -q --verify 'HEAD^{commit}' || true)
dirty=1
if [ -n "$head" ] && git diff --cached --quiet HEAD --; then dirty=0; fi
compare() {
  git -c core.bigFileThreshold=1m -c diff.renameLimit=1000 diff --cached -M --no-ext-diff --no-textconv --no-color \
    --no-abbrev --submodule=short --ignore-submodules=none "$@" "$base" --
}
compare --raw -z | head -c 8388608 >"$out/raw"
compare --numstat -z | head -c 8388608 >"$out/numstat"
compare -p --src-prefix=a/ --dst-prefix=b/ -U3 | head -c 67108864 >"$out/patch"
rm -rf "$out/objects" "$out/index"
unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
git ls-files -u -z | head -c 1048576 >"$out/unmerged"
echo "merge=$(git rev-parse -q --verify 'MERGE_HEAD^{commit}' || true)"
echo "head=$head"
echo "dirty=$dirty"
echo "out=$out"
)sh";

const std::string_view commit = R"sh(
enter "$1"
filters_off
[ -z "$(git ls-files -u)" ] || die 25 "there are unresolved conflicts in the work tree"
git add -A .
files=$(git diff --cached --name-only -z | tr -dc '\000' | wc -c)
if [ "$files" -eq 0 ]; then
  echo "commit="
  echo "files=0"
  exit 0
fi
export GIT_AUTHOR_NAME="$3" GIT_AUTHOR_EMAIL="$4" GIT_COMMITTER_NAME="$3" GIT_COMMITTER_EMAIL="$4"
printf '%s\n' "$2" | git commit -q --no-verify --no-gpg-sign --cleanup=whitespace -F -
echo "commit=$(git rev-parse HEAD)"
echo "files=$files"
)sh";

const std::string_view save = R"sh(
enter "$1"
base=$2
filters_off
folder "$3"
if [ -f "$g/index" ]; then cp "$g/index" "$out/index"; fi
(
  export GIT_INDEX_FILE="$out/index"
  git add -A --ignore-errors . 2>"$out/warnings" || true
  git write-tree >"$out/tree"
)
tree=$(cat "$out/tree")
head=$(git rev-parse -q --verify 'HEAD^{commit}' || true)
# The date of what it stands on: the same work makes the same commit.
date=$(if [ -n "$head" ]; then git log -1 --format='%ct +0000' "$head"; else echo '0 +0000'; fi)
export GIT_AUTHOR_NAME=troupe GIT_AUTHOR_EMAIL=troupe@localhost GIT_AUTHOR_DATE="$date"
export GIT_COMMITTER_NAME=troupe GIT_COMMITTER_EMAIL=troupe@localhost GIT_COMMITTER_DATE="$date"
wip=$(echo 'Work in progress' | git commit-tree "$tree" ${head:+-p "$head"})
git update-ref refs/troupe/wip "$wip"
if git cat-file -e "$base^{commit}" 2>/dev/null; then
  git bundle create -q --version=2 "$out/bundle" refs/troupe/wip "^$base"
else
  git bundle create -q --version=2 "$out/bundle" refs/troupe/wip
fi
rm -f "$out/index"
echo "commit=$wip"
echo "bytes=$(wc -c <"$out/bundle")"
echo "out=$out"
)sh";

const std::string_view bundle_branch = R"sh(
enter "$1"
branch=$2 base=$3
filters_off
folder "$4"
head=$(git rev-parse -q --verify "refs/heads/$branch^{commit}") ||
  die 28 "the branch '$branch' has no commit in the workspace"
dirty=0
[ -z "$(git status --porcelain 2>/dev/null | head -c 1)" ] || dirty=1
if ! git cat-file -e "$base^{commit}" 2>/dev/null; then
  git bundle create -q --version=2 "$out/bundle" "refs/heads/$branch"
elif [ "$(git rev-list --count --max-count=1 "$head" "^$base")" = 0 ]; then
  : >"$out/bundle"
else
  git bundle create -q --version=2 "$out/bundle" "refs/heads/$branch" "^$base"
fi
echo "commit=$head"
echo "dirty=$dirty"
echo "out=$out"
)sh";

const std::string_view update = R"sh(
enter "$1"
mirror=$2 branch=$3 from=$4 base_branch=$5
filters_off
folder "$8"
[ "$(git symbolic-ref -q --short HEAD)" = "$branch" ] ||
  die 28 "the workspace is not on the task's branch '$branch'"
head=$(git rev-parse -q --verify 'HEAD^{commit}') || die 28 "the branch '$branch' has no commit yet"
[ ! -f "$g/MERGE_HEAD" ] || die 29 "a merge is under way in the workspace already"
git fetch -q --no-tags --prune --upload-pack="$upload_pack" "$mirror" '+refs/heads/*:refs/remotes/origin/*'
rm -f "$g/FETCH_HEAD"
to=$(git rev-parse -q --verify "refs/remotes/origin/$from^{commit}") ||
  die 22 "the repository has no branch '$from'"
export GIT_AUTHOR_NAME="$6" GIT_AUTHOR_EMAIL="$7" GIT_COMMITTER_NAME="$6" GIT_COMMITTER_EMAIL="$7"
: >"$out/unmerged"
if git merge-base --is-ancestor "$to" HEAD; then
  state=current
elif git merge -q --no-edit --no-verify --no-gpg-sign --no-stat -m "Merge branch '$from' into $branch" "$to" \
  >"$out/said" 2>&1; then
  state=merged
elif [ -f "$g/MERGE_HEAD" ]; then
  state=conflicts
  git ls-files -u -z | head -c 1048576 >"$out/unmerged"
else
  cat "$out/said" >&2
  die 31 "nothing was merged"
fi
if [ "$from" = "$base_branch" ]; then
  base=$to
else
  base=$(git merge-base HEAD "refs/remotes/origin/$base_branch" || true)
fi
echo "state=$state"
echo "head=$(git rev-parse HEAD)"
echo "base=$base"
echo "commit=$to"
echo "out=$out"
)sh";

const std::string_view abort_update = R"sh(
enter "$1"
filters_off
[ -f "$g/MERGE_HEAD" ] || die 30 "no merge is under way in the workspace"
git merge --abort
echo "head=$(git rev-parse HEAD)"
echo "base=$(git merge-base HEAD "refs/remotes/origin/$2" || true)"
)sh";

const std::string_view restore = R"sh(
enter "$1"
mirror=$2
out=$g/troupe-$3
filters_off
i=1
: >"$out/bundle"
while [ "$i" -le "$4" ]; do
  cat "$out/$i" >>"$out/bundle"
  rm -f "$out/$i"
  i=$((i + 1))
done
# What the bundle stands on may have left the branches since; the mirror still has it.
sed -n '2,/^$/s/^-\([0-9a-f]*\).*/\1/p' "$out/bundle" | head -n 100 >"$out/needs"
while read -r need; do
  git cat-file -e "$need^{commit}" 2>/dev/null ||
    git fetch -q --no-tags --upload-pack="$upload_pack" "$mirror" "$need"
done <"$out/needs"
git bundle verify -q "$out/bundle" || die 27 "the saved work does not fit this repository"
git fetch -q --no-tags "$out/bundle" '+refs/troupe/wip:refs/troupe/wip'
wip=$(git rev-parse refs/troupe/wip)
git reset -q --hard "$wip"
if git rev-parse -q --verify "$wip^" >/dev/null; then
  git reset -q "$wip^"
else
  # It was made before the first commit.
  git update-ref -d HEAD
  git rm -rq --cached . >/dev/null 2>&1 || true
fi
rm -rf "$out"
echo "commit=$wip"
echo "head=$(git rev-parse -q --verify 'HEAD^{commit}' || true)"
)sh";

const std::string_view clean = R"sh(
enter "$1"
rm -rf "$g/troupe-$2"
)sh";

std::vector<std::string> clean_environment() {
  static constexpr std::pair<std::string_view, std::string_view> config[] = {
      {"core.hooksPath", "/dev/null"},
      {"core.fsmonitor", "false"},
      {"core.attributesFile", "/dev/null"},
      {"core.excludesFile", "/dev/null"},
      {"core.quotePath", "false"},
      {"core.pager", "cat"},
      {"core.editor", "false"},
      {"core.askPass", "false"},
      {"core.sshCommand", "false"},
      {"core.gitProxy", "none"},
      {"core.alternateRefsCommand", "true"},
      {"safe.directory", "*"},
      {"commit.gpgSign", "false"},
      {"credential.helper", ""},
      {"gc.auto", "0"},
      {"maintenance.auto", "false"},
      {"fetch.writeCommitGraph", "false"},
      {"fetch.recurseSubmodules", "false"},
      {"submodule.recurse", "false"},
      {"protocol.allow", "never"},
      {"protocol.file.allow", "always"},
      {"advice.detachedHead", "false"},
      {"init.defaultBranch", "main"},
  };
  std::vector<std::string> environment = {
      "PATH=/usr/local/bin:/usr/bin:/bin",
      "HOME=/nonexistent",
      "LC_ALL=C.UTF-8",
      "GIT_CONFIG_NOSYSTEM=1",
      "GIT_CONFIG_GLOBAL=/dev/null",
      "GIT_ATTR_NOSYSTEM=1",
      "GIT_TERMINAL_PROMPT=0",
      "GIT_PAGER=cat",
      "GIT_EDITOR=false",
      "GIT_NO_REPLACE_OBJECTS=1",
  };
  int n = 0;
  for (const auto& [name, value] : config) {
    const auto index = std::to_string(n++);
    environment.push_back("GIT_CONFIG_KEY_" + index + "=" + std::string(name));
    environment.push_back("GIT_CONFIG_VALUE_" + index + "=" + std::string(value));
  }
  environment.push_back("GIT_CONFIG_COUNT=" + std::to_string(n));
  return environment;
}

}  // namespace troupe::drivers::git::scripts
