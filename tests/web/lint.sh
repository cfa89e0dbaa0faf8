#!/usr/bin/env bash
# Lints the JavaScript of the site of static files, and checks its types, if its packages are installed.
set -u
cd "$(dirname "$0")/../../web"
[ -e node_modules/eslint ] && exec npm run --silent lint
echo "Not linted: web/, because its packages are not installed (npm ci --prefix web)." >&2
[ -z "${CI:-}" ]
