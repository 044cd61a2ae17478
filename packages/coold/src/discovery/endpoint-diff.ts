import { type Endpoint, isSameEndpoint } from './endpoint.ts';

/** What has to be written so that one set of rows becomes the other. */
export interface EndpointDiff {
  upserts: Endpoint[];
  /** Containers whose row has to go. */
  removals: string[];
}

/** Pure. Both by container. */
export function diffEndpoints(
  wanted: ReadonlyMap<string, Endpoint>,
  written: ReadonlyMap<string, Endpoint>,
): EndpointDiff {
  return {
    upserts: [...wanted.values()].filter(row => {
      const before = written.get(row.containerId);
      return before === undefined || !isSameEndpoint(before, row);
    }),
    removals: [...written.keys()].filter(id => !wanted.has(id)),
  };
}
