import type { Corrosion, Statement } from '@coold/corrosion';
import type { Endpoint } from './endpoint.ts';
import { diffEndpoints } from './endpoint-diff.ts';
import { deleteEndpoint, endpointsOf, readEndpoint, upsertEndpoint } from './endpoint-table.ts';

/** This host's rows in Corrosion, as it acknowledged them last. */
export interface EndpointWriter {
  /**
   * Writes what differs from what was acknowledged, and reads that back first where it is in doubt: at the start, after an
   * error, and when told to.
   *
   * @param isLeft whether the row of a container stays although none is wanted
   * @returns how many rows were written or removed
   * @throws CorrosionError
   */
  write(
    wanted: ReadonlyMap<string, Endpoint>,
    isLeft: (containerId: string) => boolean,
    signal: AbortSignal,
  ): Promise<number>;
  /** What Corrosion acknowledged; undefined while it is in doubt. */
  written(): ReadonlyMap<string, Endpoint> | undefined;
  /** What was acknowledged is not what is there. */
  doubt(): void;
}

/** Of one transaction: the agent holds its lock meanwhile, and bounds what it reads. */
const statementsAtOnce = 500;

/** One that cannot be read is like no row that is wanted, so that it is put right; undefined: it cannot even be named. */
function readOwn(values: readonly unknown[]): Endpoint | undefined {
  try {
    return readEndpoint(values);
  } catch {
    const [containerId] = values;
    const nothing = { name: '', namespace: '', hostMgmtIp: '', address: '', state: '', health: '' };
    return typeof containerId === 'string' ? { containerId, ...nothing } : undefined;
  }
}

/** @param now Unix time in ms */
export function createEndpointWriter(
  corrosion: Corrosion,
  hostMgmtIp: string,
  now: () => number,
): EndpointWriter {
  let written: Map<string, Endpoint> | undefined;

  const readBack = async (signal: AbortSignal) => {
    const rows = new Map<string, Endpoint>();
    await corrosion.query(
      endpointsOf(hostMgmtIp),
      values => {
        const row = readOwn(values);
        if (row !== undefined) rows.set(row.containerId, row);
      },
      signal,
    );
    return rows;
  };

  return {
    written: () => written,
    doubt() {
      written = undefined;
    },
    async write(wanted, isLeft, signal) {
      const before = written ?? (await readBack(signal));
      // In doubt until all of it is acknowledged: a transaction whose answer was lost may have been done.
      written = undefined;
      const { upserts, removals } = diffEndpoints(wanted, before);
      const changes: { statement: Statement; done: () => void }[] = [
        ...removals
          .filter(id => !isLeft(id))
          .map(id => ({
            statement: deleteEndpoint(id, hostMgmtIp),
            done: () => void before.delete(id),
          })),
        ...upserts.map(row => ({
          statement: upsertEndpoint(row, now()),
          done: () => void before.set(row.containerId, row),
        })),
      ];
      for (let from = 0; from < changes.length; from += statementsAtOnce) {
        const some = changes.slice(from, from + statementsAtOnce);
        await corrosion.execute(
          some.map(({ statement }) => statement),
          signal,
        );
        for (const { done } of some) done();
      }
      written = before;
      return changes.length;
    },
  };
}
