#!/bin/sh
# Installs or upgrades from the folder that this script lies in. Needs root; needs no network, no Node and no compiler.
# Configuration that is there is never changed, and a second run changes nothing.
set -eu
umask 022

usage='install.sh [--role host|central|both] [--prefix /usr/local]
  host     (default) a machine that runs containers: coold, firewall scaffold, Corrosion schema
  central  the machine beside Laravel: broker
With DESTDIR=/folder in the environment it installs below that folder: nothing is started, and root is not needed.'

die() {
  echo "install.sh: $*" >&2
  exit 1
}
wrong() {
  echo "install.sh: $*" >&2
  echo "$usage" >&2
  exit 2
}

role=host
prefix=/usr/local
while [ $# -gt 0 ]; do
  case $1 in
  --role=*) role=${1#*=} && shift ;;
  --prefix=*) prefix=${1#*=} && shift ;;
  --role | --prefix)
    [ $# -ge 2 ] || wrong "$1: expected a value"
    if [ "$1" = --role ]; then role=$2; else prefix=$2; fi
    shift 2
    ;;
  --help | -h) echo "$usage" && exit 0 ;;
  *) wrong "$1: not an option" ;;
  esac
done
case $role in
host | central) roles=$role ;;
both) roles='host central' ;;
*) wrong "--role $role: expected host, central or both" ;;
esac
case $prefix in
*[!A-Za-z0-9/._-]*) wrong "--prefix $prefix: expected a path of letters, digits and /._-" ;;
/?*) prefix=${prefix%/} ;;
*) wrong "--prefix $prefix: expected an absolute path" ;;
esac

destdir=${DESTDIR:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || die 'needs root: run it with sudo'
release=$(cat "$here/RELEASE")
arch=$(cat "$here/ARCH")
[ "$(uname -s) $(uname -m)" = "Linux $arch" ] || die "this package is for Linux $arch, this is $(uname -s) $(uname -m)"

has_role() {
  case " $roles " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

bin=$destdir$prefix/bin
lib=$destdir$prefix/lib/coold
units=$destdir$prefix/lib/systemd/system
etc=$destdir/etc/coolify
schemas=$destdir/etc/corrosion/schemas
# There from the first file that changes until services have changed over: a run that was killed is made up for.
changed=$lib/.changed
# Units to be enabled, one a line; those that were there before are the operator's to enable.
new_units=$lib/.new-units
scratch=
trap '[ -z "$scratch" ] || rm -rf -- "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

# place SOURCE TARGET MODE: the whole new file or the old one, at any moment; a running program keeps what it opened.
place() {
  scratch=$2.new.$$
  cp -- "$1" "$scratch" || die "cannot write $2"
  chmod "$3" "$scratch"
  mv -f -- "$scratch" "$2"
  scratch=
}

# replace TARGET MODE <CONTENT: the same, unless it has this content already.
replace() {
  scratch=$1.new.$$
  cat >"$scratch"
  chmod "$2" "$scratch"
  if cmp -s -- "$scratch" "$1"; then
    rm -f -- "$scratch"
  else
    : >"$changed"
    mv -f -- "$scratch" "$1"
  fi
  scratch=
}

# The release that a launcher starts; nothing when there is none.
release_of() {
  sed -n "s|^exec $prefix/lib/coold/\([^/]*\)/node .*|\1|p" "$bin/$1" 2>/dev/null || :
}

mkdir -p -- "$bin" "$lib" "$units"
exec 9>>"$lib/.lock"
flock -w 60 9 || die 'another installation is under way'
rm -rf -- "$lib"/.new.* # of one that was killed

# 1. The release, in a folder of its own; it appears whole or not at all.
if [ ! -d "$lib/$release" ]; then
  scratch=$lib/.new.$$
  mkdir -- "$scratch"
  cp -- "$here"/lib/* "$scratch/" || die "cannot copy the release to $lib"
  chmod 0644 "$scratch"/*
  chmod 0755 "$scratch" "$scratch/node"
  "$scratch/node" -e 0 || die 'the runtime in this package does not run on this machine'
  sync -- "$scratch"/* "$scratch" 2>/dev/null || sync
  : >"$changed"
  mv -T -- "$scratch" "$lib/$release"
  scratch=
fi

# 2. Configuration, only what is absent.
mkdir -p -- "$etc"
chmod 0755 "$etc"
if has_role host && [ ! -e "$etc/api-token" ]; then
  scratch=$etc/api-token.new.$$
  (umask 077 && od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n' >"$scratch" && echo >>"$scratch")
  # A link, unlike a rename, never takes the place of a token that somebody else has just made.
  ln -- "$scratch" "$etc/api-token" 2>/dev/null || [ -e "$etc/api-token" ] || die "cannot make $etc/api-token"
  rm -f -- "$scratch"
  scratch=
fi
environment() {
  [ -s "$etc/$1" ] || place "$here/etc/$1" "$etc/$1" 0600
}
if has_role host; then
  environment coold.env
  environment mesh.env
fi
if has_role central; then environment broker.env; fi

# 3. The Corrosion schema; a table that another file declares is that file's.
mkdir -p -- "$schemas"
for file in "$here"/corrosion/*.sql; do
  table=$(basename -- "$file" .sql)
  other=$(grep -lis "create table[a-z ]* \"\{0,1\}$table\b" "$schemas"/*.sql | grep -vxF "$schemas/$table.sql" | head -n 1 || :)
  if [ -n "$other" ]; then
    echo "install.sh: $other declares $table already; $table.sql is left out"
  else
    replace "$schemas/$table.sql" 0644 <"$file"
  fi
done

# 4. Units. Below the prefix, so that whatever an operator puts into /etc/systemd/system wins.
unit() {
  # Noted before it is there: should this run be killed, the next one enables it. A template is started by what needs it.
  case $1 in *@.service) ;; *) [ -e "$units/$1" ] || echo "$1" >>"$new_units" ;; esac
  sed "s|/usr/local/|$prefix/|g" "$here/systemd/$1" | replace "$units/$1" 0644
}
if has_role host; then
  replace "$lib/restore-allow.sh" 0755 <"$here/systemd/restore-allow.sh"
  unit coolify-mesh-fw.service
  unit coolify-mesh-allow.service
  unit coolify-build-net@.service
  unit coold.service
fi
if has_role central; then unit broker.service; fi

# Debian 12 enables these with Podman, Debian 13 does not: containers that are to restart always would stay away after a
# reboot. Only on the first installation; afterwards they are the operator's to enable.
if has_role host && grep -qsx coold.service "$new_units"; then
  for name in podman.socket podman-restart.service; do
    grep -qsx "$name" "$new_units" || echo "$name" >>"$new_units"
  done
fi

# coold may write to /etc/coolify alone; the folders of rule snapshots that lie elsewhere are added.
setting() {
  sed -n "s/^[[:space:]]*$1=//p" "$etc/coold.env" | tail -n 1 | sed "s/^\\([\"']\\)\\(.*\\)\\1\$/\\2/"
}
snapshot_folders() {
  for name in COOLD_RULES_PATH COOLD_BRIDGE_RULES_PATH; do
    path=$(setting "$name")
    case $path in
    '' | /etc/coolify/*) ;;
    *[!A-Za-z0-9/._-]* | [!/]*) die "$etc/coold.env: $name=$path: expected an absolute path of letters, digits and /._-" ;;
    *) dirname -- "$path" ;;
    esac
  done | sort -u
}
if has_role host; then
  drop_ins=$destdir/etc/systemd/system/coold.service.d
  folders=$(snapshot_folders)
  if [ -n "$folders" ]; then
    echo "$folders" | while read -r folder; do mkdir -p -- "$destdir$folder"; done
    mkdir -p -- "$drop_ins"
    {
      echo '# Made by install.sh, for the rule snapshots that coold.env names.'
      echo '[Service]'
      echo "$folders" | sed 's/^/ReadWritePaths=-/'
    } | replace "$drop_ins/rule-snapshots.conf" 0644
  elif [ -e "$drop_ins/rule-snapshots.conf" ]; then
    : >"$changed"
    rm -f -- "$drop_ins/rule-snapshots.conf"
  fi
fi

# 5. The programs: from here on the new release is what starts.
keep=" $release "
while read -r program program_role; do
  has_role "$program_role" || continue
  keep="$keep$(release_of "$program") " # the release that may be running: taken away by the next upgrade
  printf '#!/bin/sh\nexec %s/node %s/%s.mjs "$@"\n' \
    "$prefix/lib/coold/$release" "$prefix/lib/coold/$release" "$program" | replace "$bin/$program" 0755
done <"$here/programs"
while read -r program program_role; do
  keep="$keep$(release_of "$program") "
done <"$here/programs"
for old in "$lib"/*/; do
  old=$(basename -- "$old")
  case $keep in *" $old "*) ;; *) rm -rf -- "${lib:?}/$old" ;; esac
done

# systemd looks for units below /usr and /usr/local. One below another prefix is linked into /etc/systemd/system, which
# enabling it by its path does.
enable() {
  if [ ! -e "$units/$1" ]; then
    # Podman's own: that it is masked, or that this Podman has none, does not keep ours from being installed.
    systemctl enable --quiet "$1" 2>/dev/null || echo "install.sh: $1 cannot be enabled" >&2
  elif [ "$prefix" = /usr ] || [ "$prefix" = /usr/local ]; then
    systemctl enable --quiet "$1"
  else
    systemctl enable --quiet "$units/$1"
  fi
}

# 6. Running services change over, if anything has changed; a new one is enabled but waits for its configuration.
if [ -z "$destdir" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  if [ -e "$new_units" ]; then
    while read -r name; do enable "$name"; done <"$new_units"
    rm -f -- "$new_units"
  fi
fi
if [ -z "$destdir" ] && [ -d /run/systemd/system ] && [ -e "$changed" ]; then
  for name in "$units"/coolify-mesh-fw.service "$units"/coold.service "$units"/broker.service; do
    name=$(basename -- "$name")
    case $name in broker.service) has_role central || continue ;; *) has_role host || continue ;; esac
    systemctl try-restart "$name" || die "$name did not come back: see journalctl -u $name"
  done
fi
rm -f -- "$changed"
[ -z "$destdir" ] || rm -f -- "$new_units"
echo "install.sh: release $release is installed for: $roles"
