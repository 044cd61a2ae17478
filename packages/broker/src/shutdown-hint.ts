import { create } from '@bufbuild/protobuf';
import { ServerMsgSchema } from '@coold/proto';
import type { Hosts } from './hosts.ts';

/** The schema that knows the hint (docs/contract.md §1). */
const hintSchema = 2;
/** In ms: each host more needs a broker about a third of a millisecond to take in. */
const [leastWindowMs, windowPerHostMs, mostWindowMs] = [1000, 1, 60_000];

/**
 * Tells the hosts that the broker stops: they finish what they are at, go, and come back at moments spread over a window
 * that grows with their number. A host that does not know the hint is told with the end of its stream, like before.
 */
export function hintShutdown(hosts: Hosts): void {
  const live = hosts.list();
  const windowMs = Math.min(mostWindowMs, Math.max(leastWindowMs, live.length * windowPerHostMs));
  const hint = create(ServerMsgSchema, { command: { case: 'shutdownHint', value: { windowMs } } });
  for (const stream of live) if (stream.schemaMax >= hintSchema) stream.send(hint);
}
