#!/bin/sh
# Makes .venv and installs schedc into it, editable, with what the given extras need.
#
#   tools/venv.sh run|dev
#
# run: what `make demo` needs, cvc5 among it (plus zig from PyPI if there is no clang >= 16). dev:
# also the tests.
# All wheels go to the user's cache first, under a key of pyproject.toml and the Python version, and
# are installed from there. So a second run, in a fresh clone too, needs no network at all.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "help: $line"; done; exit 1; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "no Python >= 3.11 found" "sudo apt-get install python3 python3-venv" \
        "or name one: make PYTHON=/path/to/python3"
}

has_clang() {
    for candidate in clang clang-22 clang-21 clang-20 clang-19 clang-18 clang-17 clang-16; do
        major=$("$candidate" -dumpversion 2>/dev/null | cut -d. -f1) || continue
        [ "${major:-0}" -ge 16 ] 2>/dev/null && return 0
    done
    return 1
}

# Debian splits ensurepip off into python3-venv. Without it, the pip of the system can fill a venv
# that has none, or virtualenv brings its own.
make_venv() {
    [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && return
    rm -rf .venv
    "$python" -m venv .venv 2>/dev/null && return
    rm -rf .venv
    if "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv -q .venv && return
    fi
    if "$python" -m pip --version >/dev/null 2>&1; then
        rm -rf .venv
        "$python" -m venv --without-pip .venv &&
            "$python" -m pip --python .venv/bin/python install -q pip && return
    fi
    rm -rf .venv
    die "this Python can't make a virtual environment (ensurepip is missing)" \
        "sudo apt-get install python3-venv" "or: $python -m pip install --user virtualenv"
}

case "${1:-}" in
    run) extras=recheck,toolchain; has_clang && extras=recheck ;;
    dev) extras=dev,recheck,toolchain ;;
    *) die "usage: tools/venv.sh run|dev" ;;
esac

python=$(find_python)
# Only what is installed counts, so that a changed setting of a linter fetches nothing anew.
depends='import sys, tomllib; d = tomllib.load(open("pyproject.toml", "rb")); p = d["project"]
print(sys.version, d["build-system"], p["dependencies"], p["optional-dependencies"], p["scripts"])'
key=$({ "$python" -c "$depends"; printf '%s' "$extras"; } | sha256sum | cut -c1-16)
stamp=.venv/stamp-$1-$key
[ -e "$stamp" ] && exit 0

make_venv
pip=".venv/bin/python -m pip --disable-pip-version-check"
what=.${extras:+[$extras]}
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/schedc/wheels/$key
if [ ! -e "$wheels/complete" ]; then
    say "fetching Python packages into $wheels"
    part=$wheels.part.$$
    trap 'rm -rf "$part"' EXIT INT TERM
    mkdir -p "$part"
    PIP_RETRIES=${PIP_RETRIES:-2} $pip download -qq -d "$part" "$what" hatchling editables ||
        die "the Python packages could not be fetched" "check the network, then run this again"
    rm -f "$part"/schedc-* "$part"/schedc.*
    touch "$part/complete"
    # Another run may have been faster; then its folder is as good as this one.
    [ -e "$wheels/complete" ] || { rm -rf "$wheels"; mv -T "$part" "$wheels"; }
fi
say "installing schedc into .venv"
$pip install -q --no-index --find-links "$wheels" -e "$what" ||
    die "the installation failed" "rm -rf .venv '$wheels', then run this again"
touch "$stamp"
