import type { Logger } from '@coold/runtime';
import type { HostStream, Hosts } from '../hosts/hosts.ts';
import { leewayMs } from './auth.ts';

/**
 * Ends the streams whose token is no longer valid: it has expired, leeway included, it was revoked, or its key was
 * removed.
 */
export function endInvalidStreams(
  { hosts, isRevoked, log }: { hosts: Hosts; isRevoked: (stream: HostStream) => boolean; log: Logger },
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
