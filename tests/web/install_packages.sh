#!/usr/bin/env bash
# Installs what the site of static files needs, if possible: ONNX Runtime for browsers, and the linters of its JavaScript.
set -u
cd "$(dirname "$0")/../../web"
[ -e node_modules/.package-lock.json ] && [ ! package-lock.json -nt node_modules/.package-lock.json ] && exit 0
command -v npm >/dev/null && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && exit 0
echo "Not installed: the packages of web/ (npm ci --prefix web); the tests and linters that need them will be skipped." >&2
