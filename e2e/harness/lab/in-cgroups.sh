#!/bin/sh
# in-cgroups.sh FOLDER... -- PROGRAM [ARG...]
# Becomes PROGRAM after moving into the given cgroup folders: a process can be born into one folder at most, and there
# is one folder per hierarchy. Whatever belongs to a host is thereby found, and ends, with the host's cgroups.
set -eu
while [ "$1" != -- ]; do
  echo $$ >"$1/cgroup.procs"
  shift
done
shift
exec "$@"
