#!/bin/sh
# restore-allow.sh RULES NFT: puts the allow rules that coold last wrote back into both planes of the packet filter and the
# guard's sets. A file that is absent or empty leaves its plane alone; a plane that fails does not keep the others from
# their rules.
set -u
rules=${1:-/etc/coolify/allow.rules}
nft=${2:-/etc/coolify/allow.nft}
failed=0

# Prints the elements of one of the guard's sets, a line each: of lines that are exactly as coold writes them, the addresses,
# the protocol and the port. Any other line allows nothing.
elements() {
  LC_ALL=C sed -nE "s/^add rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr ([0-9.]+) ip daddr ([0-9.]+)$1 accept comment \"cid:[0-9a-f]{12}(:[a-z0-9-]+)?\"\$/$2,/p" <"$nft"
}

# Prints a command for nft that fills one set of a table with elements, and keeps what is in it; nothing for no elements.
add() {
  [ -z "$3" ] || printf 'add element %s allowed_%s {\n%s\n}\n' "$1" "$2" "$3"
}

# Thousands of rules take each program a while, so they run side by side. iptables begins: it has to begin again when another
# program has changed the packet filter before it is done.
routed=
bridged=
if [ -s "$rules" ]; then
  # The file declares the chain, which empties it first: restored twice is restored once.
  iptables-restore --noflush --wait=5 <"$rules" &
  routed=$!
fi

if [ -s "$nft" ]; then
  # Without the scaffold there is no chain for them, and nothing is denied that they would allow.
  if nft -c add rule bridge coolify_bridge coolify_allow accept 2>/dev/null; then
    nft -f "$nft" &
    bridged=$!
    hosts=$(elements '' '\1 . \2')
    protocols=$(elements ' ip protocol (tcp|udp)' '\1 . \2 . \3')
    ports=$(elements ' ip protocol (tcp|udp) th dport ([0-9]+)' '\1 . \2 . \3 . \4')
    for table in 'inet coolify_guard' 'bridge coolify_bridge'; do
      # shellcheck disable=SC2086 # family and name are two words
      if nft -t list set $table allowed_ports >/dev/null 2>&1; then
        {
          add "$table" hosts "$hosts"
          add "$table" protocols "$protocols"
          add "$table" ports "$ports"
        } | nft -f - || failed=1
      fi
    done
  else
    echo "no scaffold on this host: $nft is not restored" >&2
  fi
fi

for running in $routed $bridged; do
  wait "$running" || failed=1
done
exit "$failed"
