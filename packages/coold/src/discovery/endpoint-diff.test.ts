import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Endpoint } from './endpoint.ts';
import { diffEndpoints } from './endpoint-diff.ts';

const rows = fc
  .array(
    fc.record({
      containerId: fc.constantFrom('a', 'b', 'c', 'd'),
      name: fc.constantFrom('x', 'y'),
      namespace: fc.constantFrom('default', 'shop'),
      hostMgmtIp: fc.constant('100.64.0.1'),
      address: fc.constantFrom('', '10.0.0.1'),
      state: fc.constantFrom('running', 'exited'),
      health: fc.constantFrom('unknown', 'healthy'),
    }),
  )
  .map(all => new Map<string, Endpoint>(all.map(row => [row.containerId, row])));

it('makes the rows that are written those that are wanted, and touches no others', () => {
  fc.assert(
    fc.property(rows, rows, (wanted, written) => {
      const { upserts, removals } = diffEndpoints(wanted, written);
      const after = new Map(written);
      for (const id of removals) expect(after.delete(id)).toBe(true);
      for (const row of upserts) {
        expect(after.get(row.containerId)).not.toEqual(row);
        after.set(row.containerId, row);
      }
      expect(after).toEqual(wanted);
      expect(diffEndpoints(wanted, after)).toEqual({ upserts: [], removals: [] });
    }),
  );
});
