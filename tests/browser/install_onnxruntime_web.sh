#!/usr/bin/env bash
# Installs ONNX Runtime for browsers, with which models run in the page of a site of static files, if possible.
set -u
cd "$(dirname "$0")/../../web"
[ -e node_modules/.package-lock.json ] && [ ! package-lock.json -nt node_modules/.package-lock.json ] && exit 0
command -v npm >/dev/null && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && exit 0
echo "Not installed: onnxruntime-web (npm ci --prefix web); the tests that need it will be skipped." >&2
