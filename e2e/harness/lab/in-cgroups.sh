#!/bin/sh
# in-cgroups.sh FOLDER... -- PROGRAM [ARG...]
# Becomes PROGRAM after moving into the given cgroup folders: a process can be born into one folder at most, and there
# is one folder per hierarchy. Whatever belongs to a host is thereby found, and ends, with the host's cgroups.
set -eu
while [ "$1" != -- ]; do
  # A host's systemd removes empty folders below its root when it sets up a v1 controller: made again, and tried again
  # should that happen in between.
  tries=5
  until mkdir -p "$1" 2>/dev/null && { echo $$ >"$1/cgroup.procs"; } 2>/dev/null; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "cannot enter $1" >&2; exit 125; }
  done
  shift
done
shift
exec "$@"
