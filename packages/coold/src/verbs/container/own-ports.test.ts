import { expect, it } from 'vitest';
import { ownPorts } from './own-ports.ts';

const corrosionPorts = async (corrosionUrl: string) => {
  const config = { apiBind: undefined, metricsBind: undefined, gateways: [], reserved: [], corrosionUrl };
  const own = await ownPorts(config, AbortSignal.timeout(30_000));
  return own.filter(({ use }) => use === "Corrosion's API");
};

it.each<[string, number, string[] | undefined]>([
  ['http://127.0.0.1:8080', 8080, ['127.0.0.1']],
  ['http://[::1]:8081', 8081, ['::1']],
  ['http://localhost:8080', 8080, ['127.0.0.1', '::1']],
  ['http://127.0.0.1', 80, ['127.0.0.1']],
  ['https://127.0.0.1', 443, ['127.0.0.1']],
  // Connections to the unspecified addresses reach this host.
  ['http://0.0.0.0:8080', 8080, undefined],
  ['http://[::]:8080', 8080, undefined],
  // What a name resolves to is not looked up.
  ['https://corrosion', 443, undefined],
])('counts the port of Corrosion at %s', async (url, port, addresses) => {
  expect(await corrosionPorts(url)).toEqual([
    { port, protocol: 'tcp', ...(addresses === undefined ? {} : { addresses }), use: "Corrosion's API" },
  ]);
});
