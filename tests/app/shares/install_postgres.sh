#!/usr/bin/env bash
# Installs PostgreSQL for the tests of shares, if possible. No server is started.
set -u
for folder in "" /usr/lib/postgresql/*/bin; do
  PATH="$PATH:$folder" command -v initdb >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # Debian's package would start a server
  mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null && exit 0
fi
echo "No PostgreSQL could be installed; the tests on it will be skipped." >&2
