#!/usr/bin/env bash
# Installs Chromium for the browser tests, if possible. Usage: install_chromium.sh PYTHON
set -u
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium-headless-shell >/dev/null && exit 0
fi
"$1" -m playwright install chromium && exit 0
echo "No Chromium could be installed; the browser tests will be skipped." >&2
