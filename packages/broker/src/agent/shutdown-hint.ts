import { create } from '@bufbuild/protobuf';
import { ServerMsgSchema } from '@coold/proto';
import type { Hosts } from '../hosts/hosts.ts';

/** The schema that knows the hint (docs/contract.md §1). */
const hintSchema = 2;
/** In ms. Accepting a host takes a broker about a third of a millisecond. */
const [leastWindowMs, windowPerHostMs, mostWindowMs] = [1000, 1, 60_000];

/**
 * Tells the hosts that the broker stops: they finish their work, disconnect, and reconnect at random moments within a
 * window that grows with their number. A host that does not know the hint only sees its stream end.
 */
export function hintShutdown(hosts: Hosts): void {
  const live = hosts.list();
  const windowMs = Math.min(mostWindowMs, Math.max(leastWindowMs, live.length * windowPerHostMs));
  const hint = create(ServerMsgSchema, { command: { case: 'shutdownHint', value: { windowMs } } });
  for (const stream of live) if (stream.schemaMax >= hintSchema) stream.send(hint);
}
