import type { WireguardPeer } from './host-facts.ts';

/** A peer that packets are sent to and that does not answer. */
export interface SilentPeer {
  allowedIps: readonly string[];
  /** Seconds since its last handshake; undefined when there was none. */
  lastHandshakeS: number | undefined;
}

/** Tells dead peers from idle ones. */
export interface SilentPeers {
  /** Records the interface's current counters. */
  saw(peers: readonly WireguardPeer[]): void;
  list(): readonly SilentPeer[];
}

/**
 * A session's keys end after this many seconds (WireGuard's REJECT_AFTER_TIME), and a sender asks for new ones well
 * before. So packets sent repeatedly after that have not reached the peer.
 */
const sessionS = 180n;
/**
 * How long sending without an answer has to last to count, in ms: a single packet may be the end of an orderly session.
 */
const sendingForMs = 30_000;

interface Sending {
  rx: bigint;
  tx: bigint;
  /** When packets were first and last sent since the last one was received, monotonic, in ms. */
  firstAt: number | undefined;
  lastAt: number | undefined;
}

/** @param now monotonic, ms */
export function createSilentPeers(now: () => number = () => performance.now()): SilentPeers {
  let sending = new Map<string, Sending>();
  let silent: readonly SilentPeer[] = [];
  return {
    saw(peers) {
      const at = now();
      const next: typeof sending = new Map();
      silent = peers
        .filter(peer => {
          const { publicKey, rx, tx, lastHandshakeS } = peer;
          const before = sending.get(publicKey);
          const isHeard = before === undefined || rx !== before.rx;
          const isSent = !isHeard && tx > before.tx;
          const firstAt = isHeard ? undefined : (before.firstAt ?? (isSent ? at : undefined));
          const lastAt = isHeard ? undefined : isSent ? at : before.lastAt;
          next.set(publicKey, { rx, tx, firstAt, lastAt });
          if (firstAt === undefined || lastAt === undefined || lastAt - firstAt < sendingForMs) return false;
          return lastHandshakeS === undefined || lastHandshakeS > sessionS;
        })
        .map(({ allowedIps, lastHandshakeS }) => ({
          allowedIps,
          lastHandshakeS: lastHandshakeS === undefined ? undefined : Number(lastHandshakeS),
        }));
      sending = next;
    },
    list: () => silent,
  };
}

/**
 * Returns the hosts among silent peers, by the addresses that are theirs alone. Pure.
 *
 * @param isHost whether the mesh knows a host with this address
 */
export function silentHosts(
  peers: readonly SilentPeer[],
  isHost: (address: string) => boolean,
): { hostMgmtIp: string; lastHandshakeS: number | undefined }[] {
  return peers.flatMap(({ allowedIps, lastHandshakeS }) =>
    allowedIps
      .filter(network => network.endsWith('/32'))
      .map(network => network.slice(0, -'/32'.length))
      .filter(isHost)
      .map(hostMgmtIp => ({ hostMgmtIp, lastHandshakeS })),
  );
}
