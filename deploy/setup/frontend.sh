#!/usr/bin/env bash
# Builds static/dist when its sources changed.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ -e package.json ] || exit 0
sources=$(cat package.json package-lock.json $(git ls-files static/src templates 2>/dev/null || find static/src templates -type f) 2>/dev/null | sha256sum | cut -c1-16)
stamp=".make/frontend-$sources"
[ -e "$stamp" ] && [ -e static/dist/app.css ] && exit 0
locked=".make/npm-$(sha256sum package-lock.json | cut -c1-16)"
if [ ! -e "$locked" ] || [ ! -d node_modules ]; then
  echo "Installing front-end packages"
  npm ci --no-audit --no-fund --loglevel=error
fi
echo "Building the front end"
npm run --silent build
mkdir -p .make
rm -f .make/frontend-* .make/npm-*
touch "$stamp" "$locked"
