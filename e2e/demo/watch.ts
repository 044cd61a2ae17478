import { setTimeout as delay } from 'node:timers/promises';
import { type UnixHttp, unixHttp } from '@coold/testbed';
import { fieldOf } from '../quickstart/story/wanted.ts';
import { type Flows, readFlows } from './flows.ts';
import { followEvents, type ToldEvent } from './follow-events.ts';
import { brokerSocket, cooldSocket, type DemoHost } from './ground.ts';
import type { BrokerSeen, CooldSeen, HostSeen, NameSeen, Seen } from './seen.ts';
import { between, type Counts, type Visits } from './visits.ts';

export interface Watch extends AsyncDisposable {
  seen(): Pick<Seen, 'hosts' | 'brokers' | 'name' | 'seconds' | 'total' | 'events'>;
  /** Returns the number of events by type. */
  eventTypes(): Record<string, number>;
  /** Returns the flows of all hosts since the start. */
  flows(): { allowed: number; denied: number };
  /** Starts counting requests. */
  visits(visits: Visits): void;
}

export interface WatchOptions {
  hosts: readonly DemoHost[];
  /** The name to look up. */
  name: string;
  /** The host whose DNS server is asked. */
  asking: DemoHost;
  /** Called after every round of polling. */
  changed: () => void;
}

const everyMs = 1000;
/**
 * Longer than coold takes on a busy host: its status waits up to 3 s for Podman, and 2 s for a check of the default
 * deny. In ms.
 */
const answerMs = 10_000;
const keptEvents = 40;
const keptSeconds = 120;
const nothing: Counts = { v1: 0, v2: 0, failed: 0 };

/** Polls hosts and brokers every second, and follows the events of every host. */
export function startWatch({ hosts, name, asking, changed }: WatchOptions): Watch {
  const stop = new AbortController();
  const sockets = createSockets();
  const events: (ToldEvent & { at: number })[] = [];
  const types: Record<string, number> = {};
  const flowCounts = new Map<string, Flows>();
  const flowTotal = { allowed: 0, denied: 0 };
  const questions = new Map<string, number>();
  const dispatched = new Map<string, number>();
  const seconds: Counts[] = [];
  let visits: Visits | undefined;
  let total = nothing;
  let seenHosts: readonly HostSeen[] = [];
  let seenBrokers: readonly BrokerSeen[] = [];
  let seenName: NameSeen | undefined;
  let looks = 0;

  const brokers = hosts.filter(({ brokerId }) => brokerId !== undefined);
  const living = () => {
    const ids = seenBrokers.filter(({ status }) => status !== undefined).map(({ id }) => id);
    return brokers.find(({ brokerId }) => brokerId !== undefined && ids.includes(brokerId));
  };
  const socketOf = (broker: DemoHost | undefined) => {
    try {
      return broker === undefined ? undefined : brokerSocket(broker);
    } catch {
      return undefined;
    }
  };

  async function lookAtBroker(broker: DemoHost): Promise<BrokerSeen> {
    const id = broker.brokerId ?? '';
    const status = await sockets.get(socketOf(broker), '/v1/status');
    const outcomes = fieldOf(fieldOf(status, 'dispatches'), 'by_outcome');
    const count = sumOf(outcomes);
    const before = dispatched.get(id) ?? count;
    dispatched.set(id, count);
    const p99 = fieldOf(fieldOf(status, 'dispatches'), 'p99_ms');
    return {
      id,
      on: broker.name,
      status:
        status === undefined
          ? undefined
          : {
              hosts: Number(fieldOf(status, 'hosts')),
              dispatched: count,
              perSecond: Math.max(0, count - before),
              p99Ms: typeof p99 === 'number' ? p99 : null,
            },
    };
  }

  async function lookAtHost(host: DemoHost, streams: ReadonlyMap<string, string>): Promise<HostSeen> {
    let socket: string;
    try {
      socket = cooldSocket(host);
    } catch {
      flowCounts.delete(host.name);
      return dark(host.name);
    }
    const [status, flows, running] = await Promise.all([
      sockets.get(socket, '/status'),
      readFlows(host.host).catch(() => undefined),
      runningOn(host),
    ]);
    return {
      name: host.name,
      power: 'on',
      containers: running,
      broker: streams.get(host.name),
      coold: status === undefined ? undefined : asCoold(host.name, status),
      flows: flows === undefined ? undefined : sinceLast(host.name, flows),
    };
  }

  async function runningOn({ host }: DemoHost): Promise<string[] | undefined> {
    const list = ['podman', 'ps', '--format', '{{.Names}}'] as const;
    const answer = await host.exec(list, { timeoutMs: answerMs }).catch(() => undefined);
    return answer?.code === 0 ? answer.stdout.split('\n').filter(line => line !== '') : undefined;
  }

  function asCoold(host: string, status: unknown): CooldSeen {
    const [firewall, directory] = [fieldOf(status, 'firewall'), fieldOf(status, 'directory')];
    const asked = Number(fieldOf(fieldOf(status, 'dns'), 'queries'));
    const before = questions.get(host) ?? asked;
    questions.set(host, asked);
    const gone = fieldOf(directory, 'hosts_gone');
    return {
      connected: fieldOf(fieldOf(status, 'link'), 'connected') === true,
      wg0: fieldOf(fieldOf(status, 'mesh'), 'address_up') === true,
      mode: String(fieldOf(firewall, 'mode')),
      rules: Number(fieldOf(firewall, 'rules')),
      rows: Number(fieldOf(directory, 'rows')),
      hostsGone: Array.isArray(gone) ? gone.map(String) : [],
      questions: Math.max(0, asked - before),
    };
  }

  function sinceLast(host: string, now: Flows): { allowed: number; denied: number } {
    const before = flowCounts.get(host) ?? { tried: 0, passed: 0 };
    flowCounts.set(host, now);
    const allowed = Math.max(0, now.passed - before.passed);
    const denied = Math.max(0, now.tried - before.tried - allowed);
    flowTotal.allowed += allowed;
    flowTotal.denied += denied;
    return { allowed, denied };
  }

  async function streamsNow(): Promise<ReadonlyMap<string, string>> {
    const list = await sockets.get(socketOf(living()), '/v1/streams?all=1');
    const rows = fieldOf(list, 'hosts');
    return new Map(
      (Array.isArray(rows) ? rows : []).map((row: unknown): [string, string] => [
        String(fieldOf(row, 'host_id')),
        String(fieldOf(row, 'broker_id')),
      ]),
    );
  }

  async function lookUp(): Promise<NameSeen | undefined> {
    looks += 1;
    const body = {
      host_id: asking.name,
      request_id: `demo-look-${looks}`,
      command: { type: 'dns.lookup', name },
    };
    const answer = await sockets.post(socketOf(living()), '/v1/coold/dispatch', body);
    const data = fieldOf(answer, 'data');
    if (data === undefined) return undefined;
    const list = (field: 'answers' | 'left_out') => {
      const rows = fieldOf(data, field);
      return (Array.isArray(rows) ? rows : []).map((row: unknown) => {
        const place = hosts.find(({ mgmtIp }) => mgmtIp === fieldOf(row, 'host_mgmt_ip'))?.name ?? '?';
        const reason = field === 'left_out' ? `, ${String(fieldOf(row, 'reason'))}` : '';
        return `${String(fieldOf(row, 'address'))} (${place}${reason})`;
      });
    };
    return { name, answers: list('answers'), leftOut: list('left_out') };
  }

  async function look(): Promise<void> {
    seenBrokers = await Promise.all(brokers.map(lookAtBroker));
    const streams = await streamsNow();
    const [all, found] = await Promise.all([
      Promise.all(hosts.map(host => lookAtHost(host, streams))),
      lookUp(),
    ]);
    seenHosts = all;
    seenName = found;
  }

  function countSecond(): void {
    if (visits === undefined) return;
    const now = visits.counts();
    seconds.push(between(total, now));
    seconds.splice(0, seconds.length - keptSeconds);
    total = now;
  }

  const following = hosts.map(({ name: hostId }) =>
    followEvents({
      hostId,
      socketPath: () => socketOf(living()),
      signal: stop.signal,
      take(event) {
        types[event.type] = (types[event.type] ?? 0) + 1;
        events.push({ ...event, at: performance.now() / 1000 });
        events.splice(0, events.length - keptEvents);
      },
    }),
  );
  const looking = (async () => {
    while (!stop.signal.aborted) {
      await look();
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  })();
  const clock = setInterval(() => {
    countSecond();
    changed();
  }, everyMs);

  return {
    seen: () => ({ hosts: seenHosts, brokers: seenBrokers, name: seenName, seconds, total, events }),
    eventTypes: () => ({ ...types }),
    flows: () => ({ ...flowTotal }),
    visits(next) {
      visits = next;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(clock);
      stop.abort();
      await Promise.allSettled([looking, ...following]);
      await sockets[Symbol.asyncDispose]();
    },
  };
}

function dark(name: string): HostSeen {
  return { name, power: 'off', containers: undefined, coold: undefined, broker: undefined, flows: undefined };
}

function sumOf(counts: unknown): number {
  if (typeof counts !== 'object' || counts === null) return 0;
  return Object.values(counts).reduce((sum: number, count: unknown) => sum + Number(count), 0);
}

/** Returns one client per socket; a host that was restarted has another path. */
function createSockets() {
  const clients = new Map<string, UnixHttp>();
  const ask = async (
    path: string | undefined,
    request: Parameters<UnixHttp['request']>[0],
  ): Promise<unknown> => {
    if (path === undefined) return undefined;
    const client = clients.get(path) ?? unixHttp(path);
    clients.set(path, client);
    try {
      const { status, json } = await client.request({ ...request, timeoutMs: answerMs });
      return status === 200 ? json() : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    get: (socket: string | undefined, path: string) => ask(socket, { path }),
    post: (socket: string | undefined, path: string, json: object) =>
      ask(socket, { method: 'POST', path, json }),
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([...clients.values()].map(client => client[Symbol.asyncDispose]()));
    },
  };
}

/** Returns a coold's status; undefined when it does not answer. */
export async function askStatus(socketPath: string): Promise<unknown> {
  const sockets = createSockets();
  try {
    return await sockets.get(socketPath, '/status');
  } finally {
    await sockets[Symbol.asyncDispose]();
  }
}
