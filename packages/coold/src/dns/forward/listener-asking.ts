import type { QueryCounts } from '../counts.ts';
import { createAnswerCache } from './answer-cache.ts';
import { type Asking, createAsking } from './asking.ts';
import { createClientShare } from './client-share.ts';
import type { Forwarder } from './forwarder.ts';
import type { SharedForwarding } from './shared-forwarding.ts';

/** Questions of one namespace that may wait for the upstream; half of that for a single client. */
const placesEach = 2000;
/** Bytes of cached answers per thread for all namespaces, and the least for each. */
const [cacheBytes, minCacheBytes] = [8 * 1024 * 1024, 256 * 1024];

/** Creates one per namespace, given its counts, in one thread: none waits for what another asks. */
export function createListenerAskings(
  counts: readonly QueryCounts[],
  forwarder: Forwarder,
  forwarding: SharedForwarding,
): { asking: Asking; counts: QueryCounts }[] {
  const bytes = Math.max(minCacheBytes, Math.floor(cacheBytes / Math.max(1, counts.length)));
  return counts.map((own, index) => ({
    asking: createAsking({
      forwarder,
      forwarding,
      cache: createAnswerCache(bytes),
      share: createClientShare(forwarding, index + 1, placesEach),
    }),
    counts: own,
  }));
}
