#!/bin/sh
# @PROGRAM@ @VERSION@ for Linux @MACHINE@ in one file. Below this text lies all it needs, Node too, as a gzipped tar.
release=@RELEASE@
program=@PROGRAM@
main=@MAIN@
machine=@MACHINE@
payload=@PAYLOAD@
# Root, who can write to /usr/local, unpacks it into /usr/local/lib/coold/<release>, once for all programs of the release.
# In /usr/local/bin this file then becomes what install.sh would put there: a line that starts the program from that
# folder. Who cannot write there and finds no such folder runs it from one of its own, which goes when the program ends.
set -eu
prefix=/usr/local
lib=$prefix/lib/coold
self=$0

die() {
  echo "$program: $*" >&2
  exit 1
}

# unpack FOLDER: makes it, and runs what it holds.
unpack() {
  mkdir -- "$1" || return 1
  tail -n "+$payload" -- "$self" | gzip -dc | tar --no-same-owner -xf - -C "$1" || return 1
  # A third of Node is zeros, in the place of tables that nothing here reads; not every file system can leave them out.
  fallocate --dig-holes "$1/node" 2>/dev/null || :
  "$1/node" -e 0
}

# Whether a program in /usr/local/bin starts this release, or one runs from it.
in_use() {
  for name in coold builder broker scheduler; do
    head -n 20 -- "$prefix/bin/$name" 2>/dev/null | grep -aqF -- "$1" && return 0
  done
  readlink /proc/[0-9]*/exe 2>/dev/null | grep -qxF -- "$lib/$1/node"
}

# What install.sh does for this release and program, under the same lock; each file is whole or not there.
settle() (
  set -e
  umask 022
  mkdir -p -- "$lib"
  exec 9>>"$lib/.lock"
  flock -w 60 9
  if [ ! -d "$lib/$release" ]; then
    rm -rf -- "$lib"/.new.*
    if ! unpack "$lib/.new.$$"; then
      rm -rf -- "$lib/.new.$$"
      exit 1
    fi
    # Compiled by this machine's processor. Without it the programs run as well; they start slower.
    mkdir -- "$lib/.new.$$/compile-cache"
    for name in coold builder broker; do
      timeout 60 "$lib/.new.$$/node" "$lib/.new.$$/$name.mjs" compile-cache >/dev/null 2>&1 || :
    done
    sync -- "$lib/.new.$$"/* "$lib/.new.$$" 2>/dev/null || sync
    mv -T -- "$lib/.new.$$" "$lib/$release"
    for folder in "$lib"/*/; do
      folder=$(basename -- "$folder")
      in_use "$folder" || [ "$folder" = "$release" ] || rm -rf -- "${lib:?}/$folder"
    done
  fi
  # The unit that builds require, and what makes /run/coolify; files of these names in /etc win.
  news=
  for path in systemd/system/coolify-build-net@.service tmpfiles.d/coolify.conf; do
    if ! cmp -s -- "$lib/$release/host/$path" "$prefix/lib/$path"; then
      mkdir -p -- "$(dirname -- "$prefix/lib/$path")"
      cp -- "$lib/$release/host/$path" "$prefix/lib/$path.new.$$"
      mv -f -- "$prefix/lib/$path.new.$$" "$prefix/lib/$path"
      news=yes
    fi
  done
  if [ -n "$news" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    systemd-tmpfiles --create coolify.conf || :
  fi
  if [ "$self" -ef "$prefix/bin/$program" ] && [ ! -L "$prefix/bin/$program" ]; then
    printf '#!/bin/sh\nexec %s/node %s/%s.mjs "$@"\n' "$lib/$release" "$lib/$release" "$main" >"$prefix/bin/.$program.$$"
    chmod 0755 "$prefix/bin/.$program.$$"
    # Not if another file has taken this one's place meanwhile.
    if [ "$(stat -c %d:%i -- "$prefix/bin/$program")" = "$file" ]; then
      mv -f -- "$prefix/bin/.$program.$$" "$prefix/bin/$program"
    else
      rm -f -- "$prefix/bin/.$program.$$"
    fi
  fi
)

[ "$(uname -s) $(uname -m)" = "Linux $machine" ] || die "this file is for Linux $machine, this is $(uname -s) $(uname -m)"
if [ "$(id -u)" -eq 0 ] && [ -w "$prefix" ]; then
  file=$(stat -c %d:%i -- "$self")
  set +e # which a shell forgets inside of what is a condition
  settle
  set -e
  [ -d "$lib/$release" ] || echo "$program: cannot be unpacked into $lib/$release" >&2
fi
[ ! -d "$lib/$release" ] || exec "$lib/$release/node" "$lib/$release/$main.mjs" "$@"

folder=$(mktemp -d -t "$program.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
(umask 022 && unpack "$folder/$release") || die "cannot be unpacked into $folder and run from there"
"$folder/$release/node" "$folder/$release/$main.mjs" "$@" <&0 &
child=$!
for signal in TERM INT HUP QUIT USR1 USR2; do trap "kill -$signal $child 2>/dev/null || :" "$signal"; done
code=0
# A signal ends the wait, not the program.
while kill -0 "$child" 2>/dev/null; do wait "$child" && code=0 || code=$?; done
exit "$code"
