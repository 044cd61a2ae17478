#!/bin/sh
# Installs or upgrades from the folder that this script lies in. Needs root; needs no network, no Node and no compiler.
# Configuration that is there is never changed, and a second run changes nothing.
set -eu
umask 022

usage='install.sh [--role host|central|both] [--prefix /usr/local] [--adopt | --release | --uninstall [--purge]]
  host       (default) a machine that runs containers: coold, firewall scaffold, Corrosion schema
  central    the machine beside Laravel: broker
  --adopt    takes over from the units that coolify init wrote: moves their settings into coold.env, mesh.env and broker.env,
             and runs the units of this package instead; the default role is then what those units are for
  --release  gives back what --adopt took over: the units are there again, and the settings in them count
  --uninstall  removes what install.sh has installed, of both roles unless --role says otherwise, and takes the default deny
             out of the kernel; settings, tokens and keys stay. It says what it removed and what is left
  --purge    with --uninstall: removes settings and tokens as well; keys and certificates stay
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

role=
action=install
prefix=/usr/local
purge=
while [ $# -gt 0 ]; do
  case $1 in
  --role=*) role=${1#*=} && shift ;;
  --prefix=*) prefix=${1#*=} && shift ;;
  --role | --prefix)
    [ $# -ge 2 ] || wrong "$1: expected a value"
    if [ "$1" = --role ]; then role=$2; else prefix=$2; fi
    shift 2
    ;;
  --adopt) action=adopt && shift ;;
  --release) action=release && shift ;;
  --uninstall) action=uninstall && shift ;;
  --purge) purge=yes && shift ;;
  --help | -h) echo "$usage" && exit 0 ;;
  *) wrong "$1: not an option" ;;
  esac
done
[ -z "$purge" ] || [ "$action" = uninstall ] || wrong '--purge goes with --uninstall'
[ -n "$role" ] || [ "$action" != uninstall ] || role=both
case $role in
host | central) roles=$role ;;
both) roles='host central' ;;
'') roles=host ;;
*) wrong "--role $role: expected host, central or both" ;;
esac
case $prefix in
*[!A-Za-z0-9/._-]*) wrong "--prefix $prefix: expected a path of letters, digits and /._-" ;;
/?*) prefix=${prefix%/} ;;
*) wrong "--prefix $prefix: expected an absolute path" ;;
esac
# Launchers are known by the path in them, so a prefix has one spelling.
case $prefix/ in *//* | */./* | */../*) wrong "--prefix $prefix: expected a path without //, /./ and /../" ;; esac

destdir=${DESTDIR:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || die 'needs root: run it with sudo'
release=$(cat "$here/RELEASE")
arch=$(cat "$here/ARCH")
[ "$(uname -s) $(uname -m)" = "Linux $arch" ] || die "this package is for Linux $arch, this is $(uname -s) $(uname -m)"

# The Debian packages of this project that are on this system, were it half unpacked.
packages_of_debian() {
  for name in coold coold-broker; do
    # shellcheck disable=SC2016 # dpkg-query's own notation
    case $(dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null || :) in ?[HUFWti]*) echo "$name" ;; esac
  done
}
beside=
[ -n "$destdir" ] || beside=$(packages_of_debian | paste -sd ' ')
if [ -n "$beside" ] && [ "$prefix" -ef /usr ]; then
  die "what lies below $prefix is of the Debian packages that are installed: $beside"
fi

has_role() {
  case " $roles " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

bin=$destdir$prefix/bin
lib=$destdir$prefix/lib/coold
units=$destdir$prefix/lib/systemd/system
etc=$destdir/etc/coolify
# Units here win over those of this package; `coolify init` writes its own here.
winning=$destdir/etc/systemd/system
# What --adopt took from there, for --release: the units, and in `enabled` the names of those that were enabled.
adopted=$etc/adopted
schemas=$destdir/etc/corrosion/schemas
# There from the first file that changes until services have changed over: a run that was killed is made up for.
changed=$lib/.changed
# There from the first table that changes until Corrosion was told.
new_tables=$lib/.new-tables
# Units to be enabled, one a line; those that were there before are the operator's to enable.
new_units=$lib/.new-units
# There from the moment that a scheduler was stopped until the broker has started in its place.
start_broker=$lib/.start-broker
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

# settle TARGET: the same for a file of settings, which keeps its mode.
settle() {
  replace "$1" "$(stat -c 0%a -- "$1" 2>/dev/null || echo 0600)"
}

# The release that a launcher starts; nothing when there is none.
release_of() {
  sed -n "s|^exec $prefix/lib/coold/\([^/]*\)/node .*|\1|p" "$bin/$1" 2>/dev/null || :
}

# The units of a role that lie where they win over ours; a link there is one that was enabled, or masked.
winning_units() {
  names=
  if has_role host; then names='coolify-mesh-fw.service coolify-mesh-allow.service coold.service'; fi
  if has_role central; then names="$names broker.service scheduler.service"; fi
  for name in $names; do
    if [ -f "$winning/$name" ] && [ ! -L "$winning/$name" ]; then echo "$name"; fi
  done
}

# Whether a unit there is as `coolify init` writes it: the plain program with its settings, or the rules of the default deny.
is_init_unit() {
  case $1 in
  coold.service) first=COOLD_HOST_MGMT_IP ;;
  broker.service) first=BROKER_GRPC_BIND ;;
  scheduler.service) first=SCHEDULER_GRPC_BIND ;;
  coolify-mesh-fw.service)
    grep -q '^ExecStart=.*iptables .*COOLIFY-INTRA' "$winning/$1"
    return
    ;;
  *) return 1 ;;
  esac
  [ "$(grep -E '^(ExecStart|EnvironmentFile)=' "$winning/$1")" = "ExecStart=/usr/local/bin/${1%.service}" ] &&
    grep -q "^Environment=$first=" "$winning/$1"
}

# The settings in such a unit, NAME=VALUE, under the names that they have in our files.
settings_in() {
  sed -n 's/^Environment=//p' "$winning/$1" | sed 's/^COOLD_SCHEDULER_URL=/COOLD_BROKER_URL=/; s/^SCHEDULER_/BROKER_/'
}

# The subnets for which the unit of `coolify init` has the default deny, a line each; none: its mesh is open.
denied_subnets() {
  sed -n 's/.*iptables -A FORWARD -d \([0-9./]*\) -j COOLIFY-INTRA.*/\1/p' "$winning/coolify-mesh-fw.service" | sort -u
}

# Which of these units --adopt takes; one that it cannot take whole ends the run before anything has changed.
adoptable_units() {
  for name in $(winning_units); do
    is_init_unit "$name" || die "$winning/$name is not as coolify init writes it: move its settings to $etc by hand and remove it"
    if [ "$name" = coolify-mesh-fw.service ] && [ -z "$(denied_subnets)" ]; then
      echo "install.sh: $winning/$name stays: this mesh has no default deny, and our unit has nothing else" >&2
      continue
    fi
    odd=$(settings_in "$name" | grep -Evx '[A-Z][A-Z0-9_]*=[^][:space:]"'\''\\%]*%?' | head -n 1 || :)
    [ -z "$odd" ] || die "$winning/$name: Environment=$odd: expected a plain NAME=VALUE"
    echo "$name"
  done
}

mark='taken over by install.sh --adopt from'
# What a file of settings holds beside what --adopt has put into it.
without_taken() {
  sed "/^# >>> $mark /,/^# <<< $mark /d" "$1"
}

# take FILE UNIT <SETTINGS: puts them at the end of the file, where they win over what is above.
take() {
  taken=$(cat)
  # Lines of the operator's that had no effect, and that the settings do not replace, count from now on.
  waking=$(without_taken "$etc/$1" | sed -n 's/^[[:space:]]*\([A-Z][A-Z0-9_]*\)=.*/\1/p' | sort -u | while read -r name; do
    echo "$taken" | grep -q "^$name=" || echo "$name"
  done | tr '\n' ' ')
  [ -z "$waking" ] || echo "install.sh: $etc/$1 had no effect until now; from now on it also sets $waking"
  {
    without_taken "$etc/$1"
    echo "# >>> $mark $winning/$2"
    echo "$taken"
    echo "# <<< $mark $winning/$2"
  } | settle "$etc/$1"
}

# The settings of the scaffold that are in the rules of the unit.
scaffold_settings() {
  subnets=$(denied_subnets)
  echo "COOLD_SCAFFOLD_SUBNETS=$(echo "$subnets" | paste -sd ,)"
  # No file of coolify init says what the pools are. A /16 is what it makes by default.
  without_taken "$etc/mesh.env" | grep -q '^[[:space:]]*COOLD_SCAFFOLD_POOLS=' ||
    echo "COOLD_SCAFFOLD_POOLS=$(echo "$subnets" | sed 's|\.[0-9]*\.[0-9]*/.*|.0.0/16|' | sort -u | paste -sd ,)"
  interface=$(sed -n 's/.* -I POSTROUTING -s [0-9./]* -o \([A-Za-z0-9_.-]*\) -j RETURN.*/\1/p' "$winning/coolify-mesh-fw.service" | head -n 1)
  [ -z "$interface" ] || [ "$interface" = wg0 ] || echo "COOLD_SCAFFOLD_WG_INTERFACE=$interface"
}

# Removes the links that enabling the unit in /etc/systemd/system has made; what is left is not enabled.
unlink_wanted() {
  for link in "$winning"/*.wants/"$1"; do
    if [ -L "$link" ]; then rm -f -- "$link"; fi
  done
}

# A unit of coolify init goes, a copy of it stays. Settings are in our files by then.
adopt_unit() {
  (umask 077 && mkdir -p -- "$adopted")
  if systemctl is-enabled --quiet "$1"; then
    grep -qsx "$1" "$adopted/enabled" || echo "$1" >>"$adopted/enabled"
    # Noted before it goes: should this run be killed, the next one enables ours.
    echo "$1" | sed 's/^scheduler/broker/' >>"$new_units"
  fi
  place "$winning/$1" "$adopted/$1" 0600
  sync -- "$adopted/$1" "$adopted" 2>/dev/null || sync
  : >"$changed"
  if [ "$1" = scheduler.service ] && systemctl is-active --quiet "$1"; then
    : >"$start_broker"
    systemctl stop "$1"
  fi
  unlink_wanted "$1"
  rm -f -- "$winning/$1"
  echo "install.sh: took over from $winning/$1; a copy is $adopted/$1"
}

# --release: what --adopt took is there again. The rules in the kernel stay as they are: those of both are the same, and
# coold keeps them; the firewall's unit runs again at the next boot.
release_units() {
  [ -d "$adopted" ] || die "nothing was taken over on this host: $adopted is not there"
  for name in "$adopted"/*.service; do
    name=$(basename -- "$name")
    # One that coolify init has written anew since is younger than the copy.
    if [ ! -f "$winning/$name" ] || [ -L "$winning/$name" ]; then place "$adopted/$name" "$winning/$name" 0644; fi
    unlink_wanted "$name"
    case $name in scheduler.service) systemctl disable --quiet --now broker.service ;; esac
  done
  systemctl daemon-reload
  if [ -e "$adopted/enabled" ]; then
    while read -r name; do systemctl enable --quiet "$name"; done <"$adopted/enabled"
  fi
  for name in coold.service broker.service; do
    if [ -e "$adopted/$name" ]; then systemctl try-restart "$name" || die "$name did not come back: see journalctl -u $name"; fi
  done
  if grep -qsx scheduler.service "$adopted/enabled"; then systemctl start scheduler.service; fi
  for name in coold.env mesh.env broker.env; do
    if [ -e "$etc/$name" ]; then without_taken "$etc/$name" | settle "$etc/$name"; fi
  done
  rm -f -- "$changed"
  echo "install.sh: gave back to coolify init: $(cd -- "$adopted" && echo *.service)"
  rm -rf -- "$adopted"
}

# A setting of coold's.
setting() {
  sed -n "s/^[[:space:]]*$1=//p" "$etc/coold.env" | tail -n 1 | sed "s/^\\([\"']\\)\\(.*\\)\\1\$/\\2/"
}

if [ "$action" = uninstall ]; then
  . "$here/uninstall.sh"
  uninstall
  exit 0
fi

mkdir -p -- "$bin" "$lib" "$units"
exec 9>>"$lib/.lock"
flock -w 60 9 || die 'another installation is under way'
rm -rf -- "$lib"/.new.* # of one that was killed

if [ "$action" != install ]; then
  if [ -n "$destdir" ] || [ ! -d /run/systemd/system ]; then die "--$action needs the running system"; fi
fi
if [ "$action" = release ]; then
  release_units
  exit 0
fi
adopting=
if [ "$action" = adopt ]; then
  if [ -z "$role" ]; then
    roles='host central'
    case " $(winning_units | tr '\n' ' ')" in
    *' coo'*' broker.'* | *' coo'*' scheduler.'*) ;;
    *' broker.'* | *' scheduler.'*) roles=central ;;
    *) roles=host ;;
    esac
  fi
  adopting=$(adoptable_units)
  [ -n "$adopting" ] || echo 'install.sh: coolify init has no units here that --adopt would take over from'
fi

# 1. The release, in a folder of its own; it appears whole or not at all.
if [ ! -d "$lib/$release" ]; then
  scratch=$lib/.new.$$
  mkdir -- "$scratch"
  cp -- "$here"/lib/* "$scratch/" || die "cannot copy the release to $lib"
  chmod 0644 "$scratch"/*
  chmod 0755 "$scratch" "$scratch/node"
  # A third of Node is zeros, in the place of tables that nothing here reads; not every file system can leave them out.
  fallocate --dig-holes "$scratch/node" 2>/dev/null || :
  "$scratch/node" -e 0 || die 'the runtime in this package does not run on this machine'
  # Compiled by this machine's processor. Without it the programs run as well; they start slower.
  mkdir -- "$scratch/compile-cache"
  while read -r program _; do
    timeout 60 "$scratch/node" "$scratch/$program.mjs" compile-cache >/dev/null 2>&1 || :
  done <"$here/programs"
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
for name in $adopting; do
  case $name in
  coold.service) settings_in "$name" | take coold.env "$name" ;;
  coolify-mesh-fw.service) scaffold_settings | take mesh.env "$name" ;;
  broker.service | scheduler.service) settings_in "$name" | take broker.env "$name" ;;
  esac
done

# 3. The Corrosion schema; a table that another file declares is that file's.
mkdir -p -- "$schemas"
for file in "$here"/corrosion/*.sql; do
  table=$(basename -- "$file" .sql)
  other=$(grep -lis "create table[a-z ]* \"\{0,1\}$table\b" "$schemas"/*.sql | grep -vxF "$schemas/$table.sql" | head -n 1 || :)
  if [ -n "$other" ]; then
    echo "install.sh: $other declares $table already; $table.sql is left out"
  else
    cmp -s -- "$file" "$schemas/$table.sql" || : >"$new_tables"
    replace "$schemas/$table.sql" 0644 <"$file"
  fi
done

# 4. Units. Below the prefix, so that whatever an operator puts into /etc/systemd/system wins.
unit() {
  # Noted before it is there: should this run be killed, the next one enables it. A template is started by what needs it.
  # One that is elsewhere already is enabled or disabled by whom it belongs to; --adopt carries that over.
  case $1 in
  *@.service) ;;
  *) [ -e "$units/$1" ] || [ -e "$winning/$1" ] || echo "$1" >>"$new_units" ;;
  esac
  sed "s|/usr/local/|$prefix/|g" "$here/systemd/$1" | replace "$units/$1" 0644
}
# Debian 12 enables these with Podman, Debian 13 does not: containers that are to restart always would stay away after a
# reboot. Only on the first installation, which a unit of coold below the prefix tells; afterwards they are the operator's to enable.
if has_role host && [ ! -e "$units/coold.service" ]; then
  for name in podman.socket podman-restart.service; do
    grep -qsx "$name" "$new_units" || echo "$name" >>"$new_units"
  done
fi
if has_role host; then
  replace "$lib/restore-allow.sh" 0755 <"$here/systemd/restore-allow.sh"
  unit coolify-mesh-fw.service
  unit coolify-mesh-allow.service
  unit coolify-build-net@.service
  unit coold.service
fi
if has_role central; then unit broker.service; fi
case $prefix in
/usr | /usr/local)
  mkdir -p -- "$destdir$prefix/lib/tmpfiles.d"
  replace "$destdir$prefix/lib/tmpfiles.d/coolify.conf" 0644 <"$here/systemd/coolify.conf"
  ;;
esac

# coold may write to /etc/coolify alone; the folders of rule snapshots that lie elsewhere are added.
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
for program in coold builder broker scheduler; do
  keep="$keep$(release_of "$program") "
done
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
  for name in $adopting; do adopt_unit "$name"; done
  systemctl daemon-reload
  if [ -e "$new_units" ]; then
    while read -r name; do
      # A scheduler that coolify init runs is the broker already.
      if [ "$name" = broker.service ] && [ -f "$winning/scheduler.service" ]; then continue; fi
      enable "$name"
    done <"$new_units"
    rm -f -- "$new_units"
  fi
  # A release may have them wanted by more units than the one before. What an operator has disabled stays so.
  for name in coolify-mesh-fw.service coolify-mesh-allow.service; do
    if [ -e "$units/$name" ] && systemctl is-enabled --quiet "$name"; then enable "$name"; fi
  done
fi
# Corrosion reads its schema files at its start and when it is told to. One that does not run needs no word.
if [ -z "$destdir" ] && [ -e "$new_tables" ]; then
  if [ -d /run/systemd/system ] && systemctl is-active --quiet corrosion.service; then
    # The unit that coolify init writes has no way to reload; the program itself has one.
    systemctl reload corrosion.service 2>/dev/null ||
      /usr/local/bin/corrosion reload --config /etc/corrosion/config.toml >/dev/null 2>&1 ||
      echo 'install.sh: Corrosion has new tables and cannot be reloaded: run systemctl restart corrosion' >&2
  elif [ -e /etc/corrosion/config.toml ]; then
    echo 'install.sh: Corrosion has new tables: if it runs, run corrosion reload -c /etc/corrosion/config.toml'
  fi
fi
rm -f -- "$new_tables"
# The guard's sets of allowed flows are there, and filled, before its rules: until coold starts anew nothing else fills them,
# and what is allowed goes on meanwhile.
fill_guard() {
  "$bin/coold" scaffold --subnets 10.0.0.0/24 --pools 10.0.0.0/16 |
    grep -E '^add (table (inet coolify_guard|bridge coolify_bridge)$|set .* allowed_)' | nft -f -
  rules=$(setting COOLD_RULES_PATH)
  bridge_rules=$(setting COOLD_BRIDGE_RULES_PATH)
  "$lib/restore-allow.sh" "${rules:-/etc/coolify/allow.rules}" "${bridge_rules:-/etc/coolify/allow.nft}"
}
case " $(echo "$adopting" | tr '\n' ' ')" in
*' coolify-mesh-fw.service '*) fill_guard || echo 'install.sh: allowed flows may stop until coold has started again' >&2 ;;
esac
if [ -z "$destdir" ] && [ -d /run/systemd/system ] && [ -e "$changed" ]; then
  for name in "$units"/coolify-mesh-fw.service "$units"/coold.service "$units"/broker.service; do
    name=$(basename -- "$name")
    case $name in broker.service) has_role central || continue ;; *) has_role host || continue ;; esac
    # A firewall unit of coolify init runs nothing of ours, and takes the deny away for a moment when it is restarted.
    case $name in coolify-mesh-fw.service) [ ! -f "$winning/$name" ] || [ -L "$winning/$name" ] || continue ;; esac
    systemctl try-restart "$name" || die "$name did not come back: see journalctl -u $name"
  done
fi
if [ -z "$destdir" ] && [ -e "$start_broker" ]; then
  systemctl start broker.service || die 'broker.service did not start: see journalctl -u broker.service'
  rm -f -- "$start_broker"
fi
rm -f -- "$changed"
[ -z "$destdir" ] || rm -f -- "$new_units"
echo "install.sh: release $release is installed for: $roles"
for name in $(winning_units); do
  case $name in
  coold.service) file=coold.env ;;
  coolify-mesh-*) file=mesh.env ;;
  *) file=broker.env ;;
  esac
  case $name in
  scheduler.service) echo "install.sh: $winning/$name runs in the place of broker.service: $etc/$file has no effect." >&2 ;;
  *) echo "install.sh: $winning/$name wins over the unit of this package: $etc/$file has no effect." >&2 ;;
  esac
  if is_init_unit "$name"; then
    [ "$action" = adopt ] || echo 'install.sh: coolify init wrote it. To take over from it: install.sh --adopt' >&2
  else
    echo 'install.sh: To use the unit of this package, move its settings there and remove it.' >&2
  fi
done
