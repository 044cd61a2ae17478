import type { Logger } from '@coold/runtime';
import { leewayMs } from './auth.ts';
import type { DenyList } from './deny-list.ts';
import type { Hosts } from './hosts.ts';

/** Ends the streams whose token would no longer be believed: it has expired, leeway and all, or was revoked. */
export function endInvalidStreams(
  { hosts, isRevoked, log }: { hosts: Hosts; isRevoked: DenyList['has']; log: Logger },
  now = Date.now(),
): void {
  for (const stream of hosts) {
    const why =
      stream.tokenExpiresAt + leewayMs <= now ? 'expired' : isRevoked(stream) ? 'revoked' : undefined;
    if (why === undefined) continue;
    log.warn(
      { host_id: stream.hostId, jti: stream.tokenId },
      `token of a live stream is ${why}; stream ended`,
    );
    stream.close(why);
  }
}
