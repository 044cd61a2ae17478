# What install.sh does with --uninstall. It is sourced: variables and functions of install.sh are there.

# Files that the programs and install.sh make in the folder of settings, by role. Keys and certificates are the operator's.
host_state='allow.rules allow.nft allow.lock allow.pending joined.subnets corrosion-version.json'
host_settings='api-token host-jwt coold.env mesh.env mesh.env.removed'
central_settings='broker.env'

removed() {
  echo "install.sh: removed $1"
}

# remove PATH...: each that is there goes, and is named. One that cannot go, such as a mount, does not keep the others.
remove() {
  for path in "$@"; do
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
    if rm -rf --one-file-system -- "$path"; then
      removed "$path"
    else
      failed=yes
      echo "install.sh: $path could not be removed whole" >&2
    fi
  done
}

# remove_empty FOLDER: unless something of somebody else's is in it.
remove_empty() {
  if [ -d "$1" ] && rmdir -- "$1" 2>/dev/null; then removed "$1"; fi
}

# A setting of coold.env, or its default.
snapshot() {
  path=
  if [ -e "$etc/coold.env" ]; then path=$(setting "$1"); fi
  echo "${path:-$2}"
}

# remove_snapshot PATH BEGINNING: the snapshot of allow rules that coold.env names, with what coold keeps beside it. A file that coold
# has not written stays, whatever coold.env calls it: a snapshot begins with these lines.
remove_snapshot() {
  case $1 in *[!A-Za-z0-9/._-]* | [!/]* | */../*) keep=yes ;; *) keep= ;; esac
  if [ -z "$keep" ] && [ -e "$1" ]; then
    if [ -f "$1" ] && [ "$(head -n "$(echo "$2" | wc -l)" -- "$1")" = "$2" ]; then remove "$1"; else keep=yes; fi
  fi
  if [ -n "$keep" ]; then
    echo "install.sh: $1, which coold.env names, is no snapshot of allow rules, and stays" >&2
    return 0
  fi
  folder=$(dirname -- "$1")
  for name in $host_state; do
    if [ -f "$folder/$name" ]; then remove "$folder/$name"; fi
  done
  # A folder such as /srv is the system's.
  case $folder in "$etc") ;; /*/*) remove_empty "$folder" ;; esac
}

# Whether the Debian package of a role is there, whose unit goes on under the same name.
goes_on() {
  case " $beside " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# The same for a unit.
unit_goes_on() {
  case $1 in broker.service) goes_on coold-broker ;; *) goes_on coold ;; esac
}

# The units of ours below the prefix, whose programs this run removes.
own_units() {
  if has_role host; then
    # The guards of the deny go last.
    for name in coold.service coolify-mesh-allow.service coolify-mesh-fw.service coolify-build-net@.service; do
      [ ! -e "$units/$name" ] || echo "$name"
    done
  fi
  if has_role central && [ -e "$units/broker.service" ]; then echo broker.service; fi
}

# Where another installation of the archive has a unit that systemd takes from there. What Debian's packages and coolify init have
# is looked at elsewhere.
unit_below_another_prefix() {
  if ! on_systemd || unit_goes_on "$1"; then return 0; fi
  path=$(systemctl show --property FragmentPath --value -- "$1")
  path=$(readlink -f -- "${path:-/}") || return 0
  other=${path%"/lib/systemd/system/$1"}
  if [ "$other" = "$path" ] || [ "$path" -ef "$units/$1" ]; then return 0; fi
  if grep -qsx "ExecStart=$other/bin/${1%.service}" "$path"; then echo "$path"; fi
}

# A role that runs from below another prefix keeps what both would share: settings, sockets, and what is in the kernel.
without_roles_elsewhere() {
  left=
  for role in $roles; do
    case $role in host) name=coold.service ;; central) name=broker.service ;; esac
    other=$(unit_below_another_prefix "$name")
    if [ -z "$other" ]; then
      left="$left $role"
    elif [ -e "$units/$name" ]; then
      die "$other is of an installation below another prefix, which shares its settings with this one: uninstall that first"
    else
      echo "install.sh: $other is of an installation below another prefix: nothing of role $role is removed"
    fi
  done
  roles=$left
}

# What --adopt took comes back; without the programs it does not start, and the settings in our files stay.
return_adopted() {
  [ -d "$adopted" ] || return 0
  given=
  for name in "$adopted"/*.service; do
    [ -e "$name" ] || continue
    name=$(basename -- "$name")
    case $name in broker.service | scheduler.service) has_role central || continue ;; *) has_role host || continue ;; esac
    is_winning "$name" || place "$adopted/$name" "$winning/$name" 0644
    given="$given $name"
    echo "install.sh: gave $winning/$name back to coolify init"
  done
  if on_systemd; then
    systemctl daemon-reload
    for name in $given; do
      if grep -qsx "$name" "$adopted/enabled"; then systemctl enable --quiet "$name"; fi
    done
  fi
  files=
  if has_role host; then files='coold.env mesh.env'; fi
  if has_role central; then files="$files broker.env"; fi
  for name in $files; do
    if [ -e "$etc/$name" ]; then without_taken "$etc/$name" | settle "$etc/$name"; fi
  done
  for name in $given; do rm -f -- "$adopted/$name"; done
  # What is of the other role stays taken over.
  set -- "$adopted"/*.service
  [ -e "$1" ] || rm -rf -- "$adopted"
}

# Whether a unit of somebody else's has the name of one of ours.
is_winning() {
  [ -f "$winning/$1" ] && [ ! -L "$winning/$1" ]
}

on_systemd() {
  [ -d /run/systemd/system ]
}

# Takes our planes out of the kernel by the program that put them there; mesh.env stays as it is.
clear_kernel() {
  if [ ! -x "$bin/coold" ] || [ -z "$(release_of coold)" ]; then return 0; fi
  if "$bin/coold" firewall teardown --mesh-env "$lib/.none" \
    --rules-path "$(snapshot COOLD_RULES_PATH "$etc/allow.rules")" \
    --chain-name "$(snapshot COOLD_CHAIN_NAME COOLIFY-ALLOW)"; then
    echo 'install.sh: the default deny and the allow rules are out of the kernel: containers reach each other'
  else
    echo 'install.sh: the packet filter could not be cleared: what is left of it goes with the next boot' >&2
  fi
}

uninstall() {
  if [ -n "$destdir" ]; then die '--uninstall needs the system itself: DESTDIR is for installing'; fi
  building=
  if on_systemd && has_role host; then
    building=$(systemctl list-units --plain --no-legend --state=active,activating 'coolify-build-*.service' | grep -v '^coolify-build-net@' | cut -d ' ' -f 1 | paste -sd ' ' || :)
  fi
  [ -z "$building" ] || die "builds run, which need what would be removed: wait for $building, or stop them"
  failed=
  if [ -d "$lib" ]; then
    exec 9>>"$lib/.lock"
    flock -w 60 9 || die 'an installation is under way'
  fi
  without_roles_elsewhere
  found=$(own_units)
  [ -d "$lib" ] || [ -n "$found" ] || echo "install.sh: nothing is installed below $prefix"
  running=
  for name in $found; do
    case $name in *@.service) continue ;; esac
    on_systemd || continue
    if systemctl is-active --quiet "$name"; then running="$running $name"; fi
  done
  if on_systemd; then
    for name in $found; do
      case $name in *@.service) continue ;; esac
      if unit_goes_on "$name" || is_winning "$name"; then continue; fi
      systemctl stop "$name" || die "$name cannot be stopped: see journalctl -u $name"
      systemctl disable --quiet "$name" 2>/dev/null || :
      echo "install.sh: stopped and disabled $name"
    done
  fi
  # A unit of coolify init that was not taken over runs our programs, too.
  for name in $(winning_units); do
    case $name in coolify-mesh-*) continue ;; esac
    if on_systemd && [ -n "$(release_of "${name%.service}")" ]; then
      systemctl stop "$name" || :
      echo "install.sh: stopped $winning/$name, whose program goes"
    fi
  done
  if has_role host && ! goes_on coold; then clear_kernel; fi
  for name in $found; do
    remove "$units/$name"
    # Enabling by a path, below another prefix, has made a link.
    if [ -L "$winning/$name" ]; then remove "$winning/$name"; fi
    unit_goes_on "$name" || unlink_wanted "$name"
  done
  # While there is a folder of releases: what changes settings keeps a note there.
  return_adopted
  while read -r program program_role; do
    has_role "$program_role" || continue
    if [ -n "$(release_of "$program")" ]; then remove "$bin/$program"; fi
  done <"$here/programs"
  if has_role central && [ -n "$(release_of scheduler)" ]; then remove "$bin/scheduler"; fi
  left_programs=
  for program in coold builder broker scheduler; do
    if [ -n "$(release_of "$program")" ]; then left_programs="$left_programs $program"; fi
  done
  if [ -z "$left_programs" ]; then
    remove "$lib"
    [ -n "$beside" ] || case $prefix in /usr | /usr/local) remove "$prefix/lib/tmpfiles.d/coolify.conf" ;; esac
  fi
  if has_role host && ! goes_on coold; then
    remove "$winning/coold.service.d/rule-snapshots.conf"
    remove_empty "$winning/coold.service.d"
  fi
  if on_systemd; then
    systemctl daemon-reload
    # Rules of coolify init's own unit have the names of ours, so they went as well.
    if has_role host && is_winning coolify-mesh-fw.service; then
      systemctl restart coolify-mesh-fw.service || echo 'install.sh: coolify-mesh-fw.service of coolify init did not come back' >&2
    fi
    for name in $found; do
      case $name in *@.service) continue ;; esac
      unit_goes_on "$name" || continue
      # The links that enabling made lead to the unit that went.
      if systemctl is-enabled --quiet "$name"; then systemctl reenable --quiet "$name"; fi
      case "$running " in *" $name "*) ;; *) continue ;; esac
      systemctl restart "$name" || die "$name did not come back: see journalctl -u $name"
      echo "install.sh: $name runs from the Debian package"
    done
  fi
  if has_role host && ! goes_on coold; then remove /run/coolify/coold.sock* /run/coolify/build-resolv.conf; fi
  if has_role central && ! goes_on coold-broker; then remove /run/coolify/broker.sock*; fi
  remove_empty /run/coolify
  # Below a prefix of its own nothing else may be left.
  case $prefix in
  /usr | /usr/local) ;;
  *)
    for folder in "$bin" "$units" "$prefix/lib/systemd" "$prefix/lib" "$prefix"; do remove_empty "$folder"; done
    ;;
  esac
  if [ -n "$purge" ]; then purge_files; fi
  say_what_is_left
  [ -z "$failed" ] || die 'not everything could be removed, as said above: run it again when that can go'
}

purge_files() {
  if has_role host; then
    if goes_on coold; then
      echo 'install.sh: the Debian package coold uses the settings: apt-get purge coold removes them'
    else
      rules=$(snapshot COOLD_RULES_PATH "$etc/allow.rules")
      bridge_rules=$(snapshot COOLD_BRIDGE_RULES_PATH "$etc/allow.nft")
      remove_snapshot "$bridge_rules" 'flush chain bridge coolify_bridge coolify_allow'
      remove_snapshot "$rules" "*filter
:$(snapshot COOLD_CHAIN_NAME COOLIFY-ALLOW) -"
      for name in $host_state $host_settings; do remove "$etc/$name"; done
      remove /var/lib/coolify-builder
      purge_tables
    fi
  fi
  if has_role central && ! goes_on coold-broker; then
    for name in $central_settings; do remove "$etc/$name"; done
    remove /var/lib/coolify-broker
  fi
  remove_empty "$etc"
}

# The tables of a Corrosion that goes on are its own.
purge_tables() {
  [ ! -e /etc/corrosion/config.toml ] || return 0
  for file in "$here"/corrosion/*.sql; do
    if cmp -s -- "$file" "$schemas/$(basename -- "$file")"; then remove "$schemas/$(basename -- "$file")"; fi
  done
  remove_empty "$schemas"
  remove_empty "$(dirname -- "$schemas")"
}

say_what_is_left() {
  echo 'install.sh: what is left:'
  {
    for folder in "$etc" "$schemas" /var/lib/coolify-builder /var/lib/coolify-broker; do
      [ ! -d "$folder" ] || find -H "$folder" -mindepth 1 -maxdepth 1 | sort
    done
    for program in coold builder broker scheduler; do
      [ ! -e "$bin/$program" ] || echo "$bin/$program"
    done
    for name in coold.service broker.service scheduler.service coolify-mesh-fw.service; do
      is_winning "$name" || continue
      program=${name%.service}
      if [ "$name" != coolify-mesh-fw.service ] && [ ! -e "/usr/local/bin/$program" ]; then
        echo "$winning/$name, a unit of coolify init without its program /usr/local/bin/$program: run coolify init again"
      else
        echo "$winning/$name, a unit of coolify init"
      fi
    done
  } | sed 's/^/  /'
  echo '  containers, images and networks of Podman, and what Corrosion and WireGuard have'
}
