import { type Endpoint, isSameEndpoint } from '../endpoint.ts';

export interface AuditOptions {
  /** Returns the directory's row of a container. */
  row(containerId: string): Endpoint | undefined;
  /** Returns how many rows of this host the directory has. */
  count(): number;
  /** Returns the containers of those rows; slower than counting them. */
  containers(): Iterable<string>;
  /** Whether the subscription is connected. */
  isConnected(): boolean;
  onDoubt(why: string): void;
  /** How long a row may differ after this host last wrote it, in ms. */
  patienceMs?: number;
  /** Monotonic, ms. */
  now?: () => number;
}

/** The agent reports changes in batches of up to 600 ms (docs/contract.md §5), and a busy machine takes longer. */
const defaultPatienceMs = 5000;
/** The patience grows to at most this multiple. */
const maxPatienceFactor = 8;

/** A row that differs from what was written, since when, and what was written. */
interface Difference {
  since: number;
  wrote: Endpoint | undefined;
}

/**
 * Compares what Corrosion acknowledged of this host with what its subscription tells of this host. A row that was written a
 * moment ago differs until the news of it arrives, so each row has its own time, which begins anew with each write. A row
 * that differs for longer means that one of the two is wrong: an agent whose database was put back or lost, a row that
 * another program changed, a subscription that was begun from old rows. While doubting does not help, the audit becomes more
 * patient.
 *
 * @returns to be called after every look at everything, with the rows that Corrosion acknowledged: the same object for a row
 *   as long as it was not written again
 */
export function createAudit(options: AuditOptions): (written: ReadonlyMap<string, Endpoint>) => void {
  const { isConnected, onDoubt, now = () => performance.now() } = options;
  const { patienceMs: firstPatienceMs = defaultPatienceMs } = options;
  let differences = new Map<string, Difference>();
  let patienceMs = firstPatienceMs;
  return written => {
    if (!isConnected()) {
      // The directory may be out of date. Rows get their time again once changes are reported.
      differences.clear();
      return;
    }
    const at = now();
    const before = differences;
    differences = new Map();
    let doubt: string | undefined;
    for (const [containerId, why] of findDifferences(written, options)) {
      const wrote = written.get(containerId);
      const known = before.get(containerId);
      const since = known !== undefined && known.wrote === wrote ? known.since : at;
      differences.set(containerId, { since, wrote });
      if (at - since >= patienceMs) doubt ??= why;
    }
    if (differences.size === 0) patienceMs = firstPatienceMs;
    if (doubt === undefined) return;
    differences.clear();
    patienceMs = Math.min(patienceMs * 2, firstPatienceMs * maxPatienceFactor);
    onDoubt(doubt);
  };
}

/** Yields each container whose row is wrong, with what is wrong. */
function* findDifferences(
  written: ReadonlyMap<string, Endpoint>,
  { row, count, containers }: AuditOptions,
): Iterable<readonly [containerId: string, why: string]> {
  let found = 0;
  for (const [id, own] of written) {
    const told = row(id);
    if (told?.hostMgmtIp === own.hostMgmtIp) found += 1;
    if (told === undefined) yield [id, `the row of container ${id} was written and is not there`];
    else if (!isSameEndpoint(own, told)) yield [id, `the row of container ${id} is not as it was written`];
  }
  if (count() === found) return;
  for (const id of containers())
    if (!written.has(id)) yield [id, `the row of container ${id} is there and was not written`];
}
