# Sourced by the scripts of this folder: where the project is, how many jobs fit, how messages look.
# Not a program of its own.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$project" || exit 1

# Objects are found again from a clone in another folder too.
export CCACHE_BASEDIR=$project CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
[ -t 1 ] || say() { printf '==> %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# One compiler takes up to this much memory at its worst; more jobs than that end in the kernel killing them.
gigabyte_per_job=1
jobs_that_fit() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
  memory=$((memory / gigabyte_per_job))
  [ "$memory" -ge 1 ] || memory=1
  [ "$memory" -lt "$cores" ] && cores=$memory
  echo "${TROUPE_JOBS:-$cores}"
}

# configure PRESET [CMAKE OPTION…]: makes build/PRESET, or does nothing when it is there with the same options.
configure() {
  local preset=$1 wanted stamp
  shift
  wanted="$preset $*"
  stamp=build/$preset/.configured
  if [ -f "build/$preset/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  cmake --preset "$preset" "$@" >"build-$preset.log" 2>&1 || {
    cat "build-$preset.log" >&2
    rm -f "build-$preset.log"
    return 1
  }
  rm -f "build-$preset.log"
  printf '%s\n' "$wanted" >"$stamp"
}

# build PRESET TARGET…: quiet while it works, whole output of what does not compile.
build() {
  local preset=$1
  shift
  ninja -C "build/$preset" -j "$(jobs_that_fit)" --quiet "$@"
}
