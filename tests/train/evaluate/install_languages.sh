#!/usr/bin/env bash
# Installs the sandbox, Java and JavaScript for the evaluation, if possible.
set -u
missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v node >/dev/null || missing+=(nodejs)
[ -e /usr/share/java/javatuples.jar ] || missing+=(libjavatuples-java)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "Not installed: ${missing[*]}; the tests that need them will be skipped." >&2
