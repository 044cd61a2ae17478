#!/bin/sh
# restore-allow.sh RULES NFT: puts the allow rules that coold last wrote back into both planes of the packet filter. A
# file that is absent or empty leaves its plane alone; a plane that fails does not keep the other from its rules.
set -u
rules=${1:-/etc/coolify/allow.rules}
nft=${2:-/etc/coolify/allow.nft}
failed=0

if [ -s "$rules" ]; then
  # The file declares the chain, which empties it first: restored twice is restored once.
  iptables-restore --noflush --wait=5 <"$rules" || failed=1
fi

if [ -s "$nft" ]; then
  # Without the scaffold there is no chain for them, and nothing is denied that they would allow.
  if nft list chain bridge coolify_bridge coolify_allow >/dev/null 2>&1; then
    nft -f "$nft" || failed=1
  else
    echo "no scaffold on this host: $nft is not restored" >&2
  fi
fi

exit "$failed"
