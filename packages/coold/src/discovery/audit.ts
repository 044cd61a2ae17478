import { type Endpoint, isSameEndpoint } from './endpoint.ts';

export interface AuditOptions {
  hostMgmtIp: string;
  /** What the directory holds of a container. */
  row(containerId: string): Endpoint | undefined;
  /** How many rows it holds of this host. */
  count(): number;
  /** Whether it is told of changes at all. */
  isConnected(): boolean;
  onDoubt(why: string): void;
}

/** Two ticks: one may come between a write and the news of it. */
const firstPatience = 2;
const maxPatience = 4;

/**
 * Compares what Corrosion acknowledged of this host with what its subscription tells of this host. They differ for good only
 * where one of them is wrong: an agent whose database was put back or lost, rows that somebody else changed, a subscription
 * that was begun from old rows. Ever more patient while doubting does not help.
 *
 * @returns to be called after every look at everything, with how many rows it had to write
 */
export function createAudit(
  options: AuditOptions,
): (written: ReadonlyMap<string, Endpoint>, changes: number) => void {
  let disagreements = 0;
  let patience = firstPatience;
  return (written, changes) => {
    if (!options.isConnected() || changes > 0) return;
    const difference = findDifference(written, options);
    if (difference === undefined) {
      disagreements = 0;
      patience = firstPatience;
      return;
    }
    disagreements += 1;
    if (disagreements < patience) return;
    disagreements = 0;
    patience = Math.min(patience * 2, maxPatience);
    options.onDoubt(difference);
  };
}

function findDifference(
  written: ReadonlyMap<string, Endpoint>,
  { row, count, hostMgmtIp }: AuditOptions,
): string | undefined {
  for (const own of written.values()) {
    const told = row(own.containerId);
    if (told === undefined) return `the row of container ${own.containerId} was written and is not there`;
    if (!isSameEndpoint(own, told)) return `the row of container ${own.containerId} is not as it was written`;
  }
  const extra = count() - written.size;
  return extra === 0 ? undefined : `${extra} rows of ${hostMgmtIp} are there that were not written`;
}
