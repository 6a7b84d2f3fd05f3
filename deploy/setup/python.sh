#!/usr/bin/env bash
# Makes .venv from compiled requirements, with hashes: `python.sh requirements/base.txt`.
set -euo pipefail
cd "$(dirname "$0")/../.."

requirements="${1:?a requirements file}"
python="${PYTHON:-python3}"
"$python" - <<'EOF'
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"Dragoman needs Python 3.11 to 3.13; this is {sys.version.split()[0]}. Name another with PYTHON=python3.12.")
EOF
stamp=".make/python-$(basename "$requirements")-$(sha256sum "$requirements" | cut -c1-16)"
[ -e "$stamp" ] && [ -x .venv/bin/python ] && exit 0
[ -x .venv/bin/python ] || "$python" -m venv .venv
# uv is of the version, and the bytes, that requirements/dev.txt names.
uv_pin=$(sed -n '/^uv==/,/[^\\]$/p' requirements/dev.txt)
uv_version=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' <<<"$uv_pin")
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$uv_version" ]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r <(echo "$uv_pin")
fi
echo "Installing Python packages from $requirements"
# uv is left alone by the sync: it is what syncs.
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$requirements"
mkdir -p .make
rm -f ".make/python-$(basename "$requirements")"-*
touch "$stamp"
