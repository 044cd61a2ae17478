import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scratchFolder, startDnsmasq, startScript } from '@coold/testbed';
import { createNetns, type Netns } from '@coold/testbed/netns';
import { eventually } from '../harness/eventually.ts';
import {
  addressOf,
  cachedNames,
  cachedTtl,
  names,
  namespace,
  outsideAddress,
  outsideNames,
  outsideZone,
  zone,
} from './dns-names.ts';
import { measureDns } from './dnsperf.ts';
import { type Measurement, median } from './load.ts';
import type { Suite } from './suite.ts';

const gateway = '10.77.0.1';
const client = '10.77.0.2';
const upstream = '10.77.0.9';
/** Queries per second that every server can handle. Latencies at saturation would only measure dnsperf's queue. */
const steadyRate = 5000;
const forwardedRate = 1000;
/** Containers use a new socket for each question. With few sockets, the kernel may send most of them to one thread. */
const load = { server: gateway, from: client, clients: 40, outstanding: 100 };

/**
 * Looks up names inside and outside the zone with coold's DNS (one thread and two), a bare dgram loop, dnsmasq and
 * aardvark-dns. Each runs alone in a network namespace with the same dnsmasq as its upstream, in turns, under the same
 * load.
 */
export const dnsSuite: Suite = {
  name: 'dns',
  summary: `${names.length} names, as many queries a second as there can be; latencies at ${steadyRate} a second`,
  async run(quick) {
    const [rounds, durationMs] = quick ? [1, 500] : [5, 2000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const inside = join(folder, 'inside');
    await writeFile(inside, names.map(name => `${name}.${namespace}.${zone} A\n`).join(''));
    const outside = join(folder, 'outside');
    await writeFile(outside, outsideNames.map(name => `${name} A\n`).join(''));
    const cached = join(folder, 'cached');
    await writeFile(cached, cachedNames.map(name => `${name} A\n`).join(''));

    const subjects = {
      coold: await subject(cleanup, netns => startNode(cleanup, netns, 'coold', 1)),
      threaded: await subject(cleanup, netns => startNode(cleanup, netns, 'coold', 2)),
      bare: await subject(cleanup, netns => startNode(cleanup, netns, 'bare', 1)),
      dnsmasq: await subject(cleanup, async netns => {
        const hosts = names.map(name => `--host-record=${name}.${namespace}.${zone},${addressOf(name)}`);
        const forward = ['--cache-size=0', `--server=${upstream}`];
        const listen = ['--port=53', `--listen-address=${gateway}`];
        cleanup.use(await startDnsmasq([...listen, ...hosts, ...forward], netns.pid));
      }),
      aardvark: await subject(cleanup, netns => startAardvark(cleanup, netns, join(folder, 'aardvark'))),
    };
    for (let round = 0; round <= rounds; round += 1)
      for (const { netns, seen } of Object.values(subjects)) {
        const measured = await measureDns(netns, { ...load, queries: inside, durationMs }, steadyRate);
        if (round > 0) seen.push(measured); // the first round warms up
      }

    const relay = await subject(cleanup, netns => startNode(cleanup, netns, 'relay', 1));
    const forwarded: Record<'coold' | 'relay' | 'dnsmasq' | 'upstream', Measurement[]> = {
      coold: [],
      relay: [],
      dnsmasq: [],
      upstream: [],
    };
    const { coold: own, dnsmasq: peer } = subjects;
    const fromCache: Measurement[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const measured = await measureDns(own.netns, { ...load, queries: cached, durationMs }, steadyRate);
      if (round > 0) fromCache.push(measured);
    }
    const asked = { coold: own.netns, relay: relay.netns, dnsmasq: peer.netns, upstream: own.netns };
    // The difference is between small figures. Shorter turns spread a disturbance over all of them.
    for (let round = 0; round <= rounds * 2; round += 1)
      for (const who of ['coold', 'relay', 'dnsmasq', 'upstream'] as const) {
        const netns = asked[who];
        const server = who === 'upstream' ? upstream : gateway;
        const measured = await measureDns(
          netns,
          { ...load, server, queries: outside, durationMs: durationMs / 2 },
          forwardedRate,
        );
        if (round > 0) forwarded[who].push(measured);
      }

    const [coold, threaded, bare, dnsmasq, aardvark] = [
      median(subjects.coold.seen),
      median(subjects.threaded.seen),
      median(subjects.bare.seen),
      median(subjects.dnsmasq.seen),
      median(subjects.aardvark.seen),
    ];
    const direct = median(forwarded.upstream);
    const [cooldForwarded, relayForwarded, dnsmasqForwarded] = [
      median(forwarded.coold),
      median(forwarded.relay),
      median(forwarded.dnsmasq),
    ];
    const added = ({ p50 }: Measurement) => p50 - direct.p50;
    return {
      rows: [
        { subject: 'coold, in the zone', ...coold },
        { subject: 'coold with 2 threads, in the zone', ...threaded },
        { subject: 'bare dgram loop', ...bare },
        { subject: 'dnsmasq, in the zone', ...dnsmasq },
        { subject: 'aardvark-dns, in the zone', ...aardvark },
        { subject: 'coold, from its cache', ...median(fromCache) },
        { subject: 'coold, forwarded', ...cooldForwarded },
        { subject: 'bare relay, forwarded', ...relayForwarded },
        { subject: 'dnsmasq, forwarded', ...dnsmasqForwarded },
        { subject: 'the upstream itself', ...direct },
      ],
      ratios: [
        { what: 'req/s, coold over the bare loop', value: coold.rate / bare.rate, aim: 'at least 0.9' },
        { what: 'req/s, coold over dnsmasq', value: coold.rate / dnsmasq.rate, aim: 'at least 0.75' },
        {
          what: 'req/s, 2 threads over one',
          value: threaded.rate / coold.rate,
          aim: 'above 1 where it pays',
        },
        {
          what: 'req/s, coold from its cache over coold in the zone',
          value: median(fromCache).rate / coold.rate,
          aim: 'at least 0.7',
        },
        { what: 'req/s, coold over aardvark-dns', value: coold.rate / aardvark.rate, aim: 'at least 1.1' },
        { what: 'p99, coold over dnsmasq', value: coold.p99 / dnsmasq.p99, aim: 'at most 2' },
        {
          what: 'p50 that forwarding adds, coold over dnsmasq',
          value: added(cooldForwarded) / added(dnsmasqForwarded),
          aim: 'at most 1.5',
        },
        {
          what: 'p50 that forwarding adds, a bare relay over dnsmasq',
          value: added(relayForwarded) / added(dnsmasqForwarded),
          aim: 'none: what Node costs',
        },
      ],
    };
  },
};

interface Subject {
  netns: Netns;
  seen: Measurement[];
}

/** Creates a network namespace with the addresses, the upstream and one server. */
async function subject(
  cleanup: AsyncDisposableStack,
  start: (netns: Netns) => Promise<void>,
): Promise<Subject> {
  const netns = await createNetns();
  cleanup.defer(() => netns.close());
  for (const address of [gateway, client, upstream])
    await netns.exec('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  const uncached = `--address=/${outsideZone}/${outsideAddress}`;
  const cached = cachedNames.map(name => `--host-record=${name},${outsideAddress},${cachedTtl}`);
  cleanup.use(
    await startDnsmasq(['--port=53', `--listen-address=${upstream}`, uncached, ...cached], netns.pid),
  );
  await start(netns);
  return { netns, seen: [] };
}

async function startNode(
  cleanup: AsyncDisposableStack,
  netns: Netns,
  kind: 'coold' | 'bare' | 'relay',
  threads: number,
): Promise<void> {
  const path = fileURLToPath(new URL('dns-server.ts', import.meta.url));
  const server = cleanup.use(
    startScript(path, { args: [kind, gateway, upstream, String(threads)], inside: netns.pid }),
  );
  await server.logged(({ msg }) => msg === 'answering DNS');
}

/** Starts Podman's own resolver with the files that netavark would write. It answers only containers. */
async function startAardvark(cleanup: AsyncDisposableStack, netns: Netns, folder: string): Promise<void> {
  await mkdir(folder);
  const container = (index: number, address: string, name: string) =>
    `${index.toString(16).padStart(64, '0')} ${address}  ${name}\n`;
  const lines = names.map((name, index) => container(index, addressOf(name) ?? '', `${name}.${namespace}`));
  await writeFile(
    join(folder, 'bench'),
    `${gateway}\n${lines.join('')}${container(names.length, client, 'client')}`,
  );
  const program = ['/usr/lib/podman/aardvark-dns', '-c', folder, '-p', '53', '-f', `.${zone}`, 'run'];
  const within = ['--pdeathsig', 'KILL', '--', 'nsenter', '-t', String(netns.pid), '-n', '-m', '--'];
  const child = spawn('setpriv', [...within, ...program], { stdio: 'ignore' });
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()));
  cleanup.defer(async () => {
    child.kill('SIGKILL');
    await gone;
    await killDaemon(folder);
  });
  const question = ['-b', client, `@${gateway}`, '+short', '+time=1', '+tries=1'];
  const name = `${names[0]}.${namespace}.${zone}`;
  await eventually(
    'aardvark-dns to answer',
    async () => {
      const { stdout } = await netns.exec('dig', [...question, name], { mayFail: true });
      return stdout.trim() === addressOf(names[0] ?? '') || undefined;
    },
    { timeoutMs: 10_000 },
  );
}

/** Kills the daemon by the id in the file that netavark reads: it is a child of a started process that has ended. */
async function killDaemon(folder: string): Promise<void> {
  const pid = Number(await readFile(join(folder, 'aardvark.pid'), 'utf8').catch(() => ''));
  if (!(pid > 1)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
