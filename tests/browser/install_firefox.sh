#!/usr/bin/env bash
# Installs Firefox for the test of the site of static files, if possible.
set -u
for name in firefox-esr firefox; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq firefox-esr >/dev/null && exit 0
fi
echo "No Firefox could be installed; its test will be skipped." >&2
exit 0
