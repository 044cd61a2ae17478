import { createSocket } from 'node:dgram';
import { isMainThread, Worker } from 'node:worker_threads';
import { createAnswerPacket } from '../../packages/coold/src/dns/answer.ts';
import { createZone } from '../../packages/coold/src/dns/zone.ts';
import { addressOf, namespace, zone } from './dns-names.ts';

const n = Number(process.argv[2]);
if (isMainThread) for (let i = 1; i < n; i++) new Worker(new URL(import.meta.url), { argv: [String(n)] });
const lists = new Map<string, { address: string; hostMgmtIp: string; containerId: string }[]>();
const z = createZone({
  name: zone,
  namespaces: [namespace],
  directory: {
    find(wanted: string, name: string) {
      const address = wanted === namespace ? addressOf(name) : undefined;
      if (address === undefined) return undefined;
      const known = lists.get(name) ?? [{ address, hostMgmtIp: '100.64.0.1', containerId: name }];
      lists.set(name, known);
      return known;
    },
    hasNamespace: (w: string) => w === namespace,
    isLoaded: () => true,
  },
});
const ap = createAnswerPacket(z, 5);
const s = createSocket({
  type: 'udp4',
  reusePort: n > 1,
  recvBufferSize: 4 << 20,
  sendBufferSize: 4 << 20,
  lookup: (h, _o, f) => f(null, h, 4),
});
s.on('message', (m, p) => {
  const a = ap(m, 'udp');
  if (a.kind === 'reply') s.send(a.packet, p.port, p.address);
});
s.bind({ address: '10.77.0.1', port: 53 });
