import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  containers,
  containersOn,
  type HostName,
  hostNames,
  hostOf,
  isHost,
  type Place,
  servedPort,
} from './places.ts';
import { type Arrival, type Probe, type ProbeResult, type ProberSpec, startProber } from './prober.ts';
import { type Row, whileItChanges } from './row.ts';
import type { Scene, Where } from './scene.ts';
import { metricsPort } from './table.ts';

/** What was observed of one row. */
export interface Observation {
  result: ProbeResult;
  /** Packets that reached the destination. */
  arrived: Arrival[];
  /** Packets that the destination sent on a held connection and that reached the sender. */
  arrivedBack: Arrival[];
  /** Packets that left a host by its underlay interface unencrypted. */
  inTheClear: Arrival[];
  /** The address that the destination should see. */
  own: string;
  /** When the world had changed, for rows measured during a change; Unix time in seconds. */
  changed: number | undefined;
  /** When the measurement ended. */
  end: number;
}

/** The name under which packets that leave a host by its underlay are reported. */
const clear = (host: HostName) => `${host}:eth0`;

/** From the first packet: connections retry after 1 s, and a deny has to hold for that too. */
const windowMs = 2000;
/** The pause before the first change of the world, and after the last, in ms. */
const beforeChangeMs = 1000;
const afterChangeMs = 2000;

/**
 * Sends the packets of all rows at once and reports what became of each.
 *
 * @param during what happens meanwhile; the measurement continues for a while after it
 */
export async function measure(
  scene: Scene,
  rows: readonly Row[],
  nextNumber: () => number,
  during?: () => Promise<void>,
): Promise<Map<string, Observation>> {
  const where = await scene.look();
  const numbered = rows.map(row => ({ row, number: nextNumber(), back: nextNumber() }));
  const probes = numbered.flatMap(one => probesOf(one, where));
  const folder = `/run/coold-packets-${randomUUID()}`;
  const probers = await Promise.all(
    hostNames.map(name =>
      startProber(scene.hosts[name], scene.prober, specOf(name, folder, where, rows, probes)),
    ),
  );
  await Promise.all(probers.map(prober => prober.begin()));
  let changed: number | undefined;
  try {
    await delay(during === undefined ? windowMs : beforeChangeMs);
    if (during !== undefined) {
      await during();
      changed = Date.now() / 1000;
      await delay(afterChangeMs);
    }
  } catch (error) {
    await Promise.allSettled(probers.map(prober => prober.end()));
    throw error;
  }
  const end = Date.now() / 1000;
  const reports = await Promise.all(probers.map(prober => prober.end()));
  const arrivals = reports.flatMap(report => report.arrivals);
  const results = Object.assign({}, ...reports.map(report => report.results)) as Record<string, ProbeResult>;
  return new Map(
    numbered.map(({ row, number, back }): [string, Observation] => {
      const of = (numberOf: number, space: string) =>
        arrivals.filter(it => it.number === numberOf && it.space === space);
      return [
        row.id,
        {
          result: results[number] ?? { answered: false },
          changed,
          end,
          arrived: of(number, row.to),
          arrivedBack: of(back, row.from),
          inTheClear: hostNames.flatMap(host => of(number, clear(host))),
          own: sourceOf(row, where),
        },
      ];
    }),
  );
}

/** Returns everything that a host's prober does: its servers, watchers and probes. */
function specOf(
  host: HostName,
  folder: string,
  where: Where,
  rows: readonly Row[],
  probes: readonly (Probe & { place: Place })[],
): ProberSpec {
  const here = host === 'n' ? [] : containersOn(host).map(({ place }) => place);
  const places: Place[] = [host, ...here];
  const spaces = Object.fromEntries(places.map(place => [place, where.pidOf(place)]));
  const own = probes.filter(({ place }) => hostOf(place) === host);
  const ports = servedPorts(rows);
  const serve = [
    ...here.flatMap(space => ports.map(port => ({ space, ...port }))),
    // Only ports that nothing else on the host answers.
    ...ports.filter(({ port }) => port === servedPort).map(port => ({ space: host, ...port })),
    ...(host === 'n' ? [] : [{ space: host, proto: 'tcp' as const, port: metricsPort }]),
  ];
  const watch = [
    ...here.map(space => ({ space })),
    { space: host, name: clear(host), interface: 'eth0', outgoing: true as const },
  ];
  return { folder, spaces, serve, watch, probes: own.map(({ place, ...rest }) => rest) };
}

/** Returns the ports that rows use; `closed` ones are not served. */
function servedPorts(rows: readonly Row[]): Server[] {
  const asked = [
    ...rows.flatMap(serverOf),
    ...(['tcp', 'udp'] as const).map(proto => ({ proto, port: servedPort })),
  ];
  return [...new Map(asked.map(server => [`${server.proto} ${server.port}`, server])).values()];
}

interface Server {
  proto: 'tcp' | 'udp';
  port: number;
}

function serverOf({ packet }: Row): Server[] {
  switch (packet.kind) {
    case 'tcp':
    case 'udp':
      return [{ proto: packet.kind, port: packet.port }];
    case 'held':
      return [{ proto: packet.proto, port: packet.port }];
    case 'flood':
      return [{ proto: 'udp', port: packet.port }];
    case 'raw':
    case 'connect':
    case 'query':
    case 'closed':
    case 'icmp':
    case 'both first':
      return [];
  }
}

/** Returns the source address of a row's packets when they leave. */
function sourceOf({ from, packet }: Row, where: Where): string {
  if (packet.kind === 'raw' && packet.as !== undefined)
    return where.addressOf(packet.as.place, packet.as.at ?? 'own', from);
  return where.addressOf(from, 'own', from);
}

function probesOf(
  { row, number, back }: { row: Row; number: number; back: number },
  where: Where,
): (Probe & { place: Place })[] {
  const { from, to, packet } = row;
  const address = where.addressOf(to, row.at ?? 'own', from);
  const common = {
    number,
    place: from,
    space: from,
    to: address,
    ...(row.at === 'link-local' ? { interface: 'eth0' } : {}),
  };
  switch (packet.kind) {
    case 'tcp':
    case 'udp':
      return [{ ...common, ...packet }];
    case 'connect':
      return [{ ...common, kind: 'tcp', port: packet.port, connectOnly: true }];
    case 'query':
      return [{ ...common, kind: 'udp', port: packet.port, payload: dnsQuestion }];
    case 'icmp':
      return [{ ...common, kind: 'icmp' }];
    case 'closed':
      return [{ ...common, kind: 'udp', port: packet.port }];
    case 'raw':
      return [{ ...common, kind: 'raw', form: packet.form, port: packet.port, source: sourceOf(row, where) }];
    case 'held':
      return [{ ...common, kind: packet.proto, port: packet.port, back }];
    case 'flood':
      return [{ ...common, kind: 'flood', port: packet.port }];
    case 'both first':
      // Each sends to the port of the other's probe, which follows from its number.
      return [
        { ...common, kind: 'flood', port: firstPort + back },
        {
          number: back,
          place: to,
          space: to,
          to: where.addressOf(from, 'own', to),
          kind: 'flood',
          port: firstPort + number,
        },
      ];
  }
}

/** The same as in prober.py. */
const firstPort = 20_000;

/** `SOA coolify.internal`, which every gateway answers. */
const dnsQuestion = [
  '1234010000010000000000000007',
  Buffer.from('coolify').toString('hex'),
  '08',
  Buffer.from('internal').toString('hex'),
  '0000060001',
].join('');

/** Splits rows into those that are measured together. */
export function split(rows: readonly Row[]): { settled: Row[]; changing: Row[] } {
  return { settled: rows.filter(row => !whileItChanges(row)), changing: rows.filter(whileItChanges) };
}

/** Whether a place's address belongs to the mesh. */
export function isOfMesh(place: Place): boolean {
  return !isHost(place) && !('byHand' in containers[place]);
}
