#!/bin/sh
# PID 1 of a Podman's own namespaces (unshare --mount --net --pid): whatever it starts ends with it, and nothing it
# mounts or plumbs is seen outside. Argument: the socket to listen on.
set -eu
socket=$1

ip link set lo up
# Locks, network namespaces and run state of containers: gone with us, as after a reboot.
mount -t tmpfs tmpfs /run
# crun refuses a hybrid cgroup tree for as long as its v2 side lists controllers.
controllers=/sys/fs/cgroup/unified/cgroup.controllers
if [ -e "$controllers" ] && [ -n "$(cat "$controllers")" ]; then
  : >/run/no-controllers
  mount --bind /run/no-controllers "$controllers"
fi

podman system service --time=0 "unix://$socket" &
service=$!
# Our standard input is a pipe that the owner holds: it closes when the owner is gone, however it went.
exec 3<&0
(cat <&3 >/dev/null; kill -KILL "$service") &
wait "$service"
