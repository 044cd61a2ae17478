import { endsSoon } from '@coold/runtime';
import type { HostStream } from '../hosts/hosts.ts';

/** Returns the streams whose token has to be renewed now, the first to expire first. Pure. */
export function endingTokens(streams: readonly HostStream[], now: number): HostStream[] {
  return streams
    .filter(({ tokenIssuedAt: begins, tokenExpiresAt: ends }) => endsSoon({ begins, ends }, now))
    .sort((a, b) => a.tokenExpiresAt - b.tokenExpiresAt);
}
