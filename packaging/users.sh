#!/bin/sh
# Makes the system users that masu's roles run as. Safe to run again.
#   masu      owns the archive
#   masu-gw   network side and readers: group-read of the archive, nothing else
set -eu

nologin=/usr/sbin/nologin
[ -x "$nologin" ] || nologin=/bin/false

for user in masu masu-gw; do
    if ! getent group "$user" >/dev/null; then
        groupadd --system "$user"
    fi
    if ! getent passwd "$user" >/dev/null; then
        useradd --system --gid "$user" --home-dir /nonexistent --no-create-home --shell "$nologin" \
            --comment "masu container quotas" "$user"
    fi
done
