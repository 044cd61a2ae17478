#!/bin/sh
# Turns a fresh set of namespaces (mount, pid, net, uts, ipc, cgroup) into a host and becomes its systemd.
#
#   LAB_NAME      host name
#   LAB_GATEWAY   the underlay's
#   LAB_ROOT      folder of the system that it runs: / or one that the lab has made; it is not written to
#   LAB_SHARE     folder of the machine that it sees at the same path, or nothing; it is not written to
#   LAB_DISK      folder of the host's disk, a filesystem that outlives the host: up/ work/ root/ containers/ and, for
#                 what it writes to LAB_SHARE, share-up/ share-work/
#   LAB_CGROUPS   hierarchies to mount, each FOLDER:TYPE:OPTIONS (FOLDER empty: /sys/fs/cgroup itself)
#   LAB_KIND      v2 | hybrid
#   LAB_ULIMITS   containers.conf's default_ulimits
#
# Says its pid, as the machine numbers it, on descriptor 3; goes on from there when a line arrives on stdin.
set -eu

# Before /proc is replaced, and by a builtin: any other program would read its own pid there.
read -r pid _ </proc/self/stat
echo "$pid" >&3
exec 3>&-

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LAB_ROOT,upperdir=$LAB_DISK/up,workdir=$LAB_DISK/work" "$LAB_DISK/root"
cd "$LAB_DISK/root"

mount -t proc proc proc
# As systemd-nspawn does it: settings of the whole machine are out of reach, those of the host's own network are not.
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
# Read-only: otherwise udev starts, and triggers the devices of the whole machine.
mount -t sysfs -o ro sysfs sys

mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net dev/pts dev/shm
for device in null zero full random urandom tty fuse net/tun; do
  [ -e "/dev/$device" ] || continue
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
if [ -n "$LAB_SHARE" ]; then
  mkdir -p ".$LAB_SHARE"
  mount -t overlay overlay \
    -o "lowerdir=$LAB_SHARE,upperdir=$LAB_DISK/share-up,workdir=$LAB_DISK/share-work" ".$LAB_SHARE"
fi

if [ ! -e "$LAB_DISK/prepared" ]; then
  # What the machine's owner set up stays the machine's: its services, mounts, mesh and containers.
  rm -rf var/lib/containers etc/containers/networks etc/cni etc/wireguard etc/coolify etc/corrosion
  find etc/systemd/system -path '*.wants/*' ! -name 'podman*' -delete
  rm -f etc/rc?.d/S*
  # By link and not by argument: what is wanted by default.target, as Debian's podman-restart is, starts with it.
  ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
  : >etc/fstab
  : >etc/crypttab
  # A generator starts units whatever is enabled; systemd's own know of containers, others do not.
  mkdir -p etc/systemd/system-generators
  for generator in usr/lib/systemd/system-generators/*; do
    case ${generator##*/} in systemd-*) ;; *) ln -s /dev/null "etc/systemd/system-generators/${generator##*/}" ;; esac
  done
  # No terminal, no log-ins, no hardware. networking and friends would take eth0, which the harness has set up.
  for unit in getty.target console-getty.service systemd-logind.service systemd-firstboot.service \
    systemd-networkd.service systemd-resolved.service networking.service NetworkManager.service cloud-init.target \
    podman-auto-update.service podman-auto-update.timer dev-hugepages.mount sys-kernel-config.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-modules-load.service \
    modprobe@.service kmod-static-nodes.service; do
    ln -sf /dev/null "etc/systemd/system/$unit"
  done
  # systemd would derive one machine id from the machine, and each host's MAC addresses would follow from that.
  rm -f etc/machine-id
  tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
  mkdir -p var/log/journal var/lib/containers etc/containers
  rm -rf var/log/journal/*
  echo "$LAB_NAME" >etc/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$LAB_NAME" >etc/hosts
  # Nobody answers there, which the gateway says at once; an address out of reach would cost every lookup ten seconds.
  rm -f etc/resolv.conf
  echo "nameserver $LAB_GATEWAY" >etc/resolv.conf
  # Podman's own default limits lie above what a machine without CAP_SYS_RESOURCE may set.
  printf '[containers]\ndefault_ulimits = [%s]\n[network]\nnetwork_backend = "netavark"\n' "$LAB_ULIMITS" \
    >etc/containers/containers.conf
  printf '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' \
    >etc/containers/storage.conf
  # An orderly reboot with a container running would take a minute and a half: its conmon does not end by itself then,
  # and neither does a container whose first process ignores SIGTERM, as most do.
  mkdir -p etc/systemd/system.conf.d
  printf '[Manager]\nDefaultTimeoutStopSec=5s\n' >etc/systemd/system.conf.d/lab.conf
  touch etc/.updated var/.updated "$LAB_DISK/prepared"
fi
hostname "$LAB_NAME"
# The kernel refuses an overlay whose upper folder is on an overlay: containers need the plain filesystem.
mount --bind "$LAB_DISK/containers" var/lib/containers

[ "$LAB_KIND" = v2 ] || mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
for hierarchy in $LAB_CGROUPS; do
  folder=${hierarchy%%:*}
  rest=${hierarchy#*:}
  mkdir -p "sys/fs/cgroup/$folder"
  options=${rest#*:}
  mount -t "${rest%%:*}" ${options:+-o "$options"} cgroup "sys/fs/cgroup/$folder"
  if [ "$LAB_KIND" = hybrid ] && [ "${rest%%:*}" = cgroup2 ]; then
    # crun refuses a hybrid machine whose v2 side lists a controller; systemd still gets v2, for IPAddressDeny.
    : >run/no-controllers
    mount --bind run/no-controllers "sys/fs/cgroup/$folder/cgroup.controllers"
  fi
done

ip link set lo up
# The network cable: it is plugged in before systemd starts, as on a real host.
read -r _

mkdir -p mnt/machine
pivot_root . mnt/machine
umount -l /mnt/machine
hierarchy=systemd.unified_cgroup_hierarchy=1
[ "$LAB_KIND" = v2 ] || hierarchy=systemd.unified_cgroup_hierarchy=0
# From 256 on systemd refuses v1 trees unless it is told twice; older ones do not know the second word and ignore it.
exec env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system "$hierarchy" SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 </dev/null
