import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { startStandIn } from '@coold/corrosion/testing';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import type { Endpoint } from './endpoint.ts';
import { upsertEndpoint } from './endpoint-table.ts';
import { createEndpointWriter } from './endpoint-writer.ts';
import { forever, hostMgmtIp, rowsOf } from './testing.ts';

const row = (containerId: string): Endpoint => ({
  ...{ containerId, name: containerId, namespace: 'default', hostMgmtIp },
  ...{ address: '10.231.1.2', state: 'running', health: 'unknown' },
});

it('puts right, or removes, rows of this host that cannot be read', async () => {
  await using folder = await scratchFolder();
  await using standIn = await startStandIn(join(folder.path, 'corrosion'));
  const corrosion = createCorrosion({ url: standIn.url, tokenFile: undefined });
  await corrosion.execute(
    ['a', 'b', 'c'].map(id => upsertEndpoint(row(id), 1)),
    forever,
  );
  const spoil = "UPDATE service_endpoints SET container_ip = X'00ff' WHERE container_id IN ('a', 'b')";
  await corrosion.execute([[spoil, []]], forever);
  const writer = createEndpointWriter(corrosion, hostMgmtIp, Date.now);
  const wanted = new Map([row('a'), row('c')].map(one => [one.containerId, one]));
  expect(await writer.write(wanted, () => false, forever)).toBe(2);
  expect(await rowsOf(standIn.url)).toEqual(wanted);
});
