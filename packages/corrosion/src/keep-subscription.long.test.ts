import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Fault,
  type FaultyProxy,
  type StandIn,
  startFaultyProxy,
  startStandIn,
  testLog,
} from '../../testbed/src/services/corrosion-stand-in.ts';
import { type Corrosion, createCorrosion, type Statement } from './client.ts';
import { keepSubscription } from './keep-subscription.ts';

const forever = new AbortController().signal;
const put = (id: string, name: string): Statement => [
  'INSERT INTO service_endpoints (container_id, container_name) VALUES (?, ?) ' +
    'ON CONFLICT (container_id) DO UPDATE SET container_name = excluded.container_name',
  [id, name],
];
const remove = (id: string): Statement => ['DELETE FROM service_endpoints WHERE container_id = ?', [id]];

/** Keeps rows as the directory does: a complete load replaces all earlier rows. */
function createMirror() {
  let rows = new Map<unknown, unknown>();
  let aside = new Map<unknown, unknown>();
  const mirror = {
    names: () => [...rows.values()].sort(),
    begun: 0,
    resubscriptions: 0,
    isConnected: false,
    /** The fewest rows that were ever seen at once after the first load. */
    fewest: Number.POSITIVE_INFINITY,
    reader: {
      begin() {
        mirror.begun += 1;
        aside = new Map();
      },
      row([id, name]: unknown[]) {
        aside.set(id, name);
      },
      finish() {
        rows = aside;
        mirror.fewest = Math.min(mirror.fewest, rows.size);
      },
      change(kind: string, [id, name]: unknown[]) {
        if (kind === 'delete') rows.delete(id);
        else rows.set(id, name);
      },
      connected(isConnected: boolean) {
        mirror.isConnected = isConnected;
      },
      resubscribing() {
        mirror.resubscriptions += 1;
      },
    },
  };
  return mirror;
}

let cleanup: AsyncDisposableStack;
let standIn: StandIn;
let proxy: FaultyProxy;
let direct: Corrosion;
let mirror: ReturnType<typeof createMirror>;

function follow(now?: () => number) {
  const corrosion = createCorrosion({ url: proxy.url, tokenFile: undefined, timeoutMs: 2000 });
  const kept = keepSubscription(corrosion, {
    name: 'test',
    statement: ['SELECT container_id, container_name FROM service_endpoints', []],
    columns: ['container_id', 'container_name'],
    reader: mirror.reader,
    log: testLog(),
    backoff: { firstMs: 5, maxMs: 50 },
    quietMs: 100,
    ...(now === undefined ? {} : { now }),
  });
  const stop = new AbortController();
  const running = kept.run(stop.signal);
  cleanup.defer(async () => {
    stop.abort();
    await running;
  });
  return kept;
}

const told = (...names: string[]) => soon(() => expect(mirror.names()).toEqual(names));
const subscriptions = () => proxy.seen.filter(line => line.includes('/v1/subscriptions'));

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const { path } = cleanup.use(await scratchFolder());
  standIn = cleanup.use(await startStandIn(path));
  proxy = cleanup.use(await startFaultyProxy(standIn.url));
  direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
  mirror = createMirror();
  await direct.execute([put('1', 'a'), put('2', 'b')], forever);
});
afterEach(() => cleanup.disposeAsync());

describe('a subscription', () => {
  it('passes on rows, then changes', async () => {
    follow();
    await told('a', 'b');
    expect(mirror.isConnected).toBe(true);
    await direct.execute([put('3', 'c'), remove('1'), put('2', 'd')], forever);
    await told('c', 'd');
  });

  it('that is cut is resumed where it ended, without loading all rows and without missing any', async () => {
    follow();
    await told('a', 'b');
    await direct.execute([put('3', 'c')], forever);
    await told('a', 'b', 'c');
    proxy.cut();
    await direct.execute([remove('1')], forever);
    await told('b', 'c');
    expect(mirror).toMatchObject({ begun: 1, resubscriptions: 1, isConnected: true });
    expect(subscriptions().at(-1)).toMatch(/^GET \/v1\/subscriptions\/[^/]+\?from=1$/);
  });

  it('of an agent that restarted loads all rows again, and is never empty meanwhile', async () => {
    follow();
    await told('a', 'b');
    await standIn.stop();
    await soon(() => expect(mirror.isConnected).toBe(false));
    expect(mirror.names()).toEqual(['a', 'b']);
    await standIn.start();
    await direct.execute([put('3', 'c')], forever);
    await told('a', 'b', 'c');
    expect(mirror.fewest).toBe(2);
  });

  it('after a long break loads all rows again, since the agent may have dropped changes', async () => {
    let at = 0;
    follow(() => at);
    await told('a', 'b');
    proxy.fault = (_asked, _pass, answer) => void answer.destroy();
    proxy.cut();
    await soon(() => expect(mirror.resubscriptions).toBeGreaterThan(0));
    at += 60_000;
    proxy.fault = undefined;
    await soon(() => expect(mirror.begun).toBe(2));
    await direct.execute([put('3', 'c')], forever);
    await told('a', 'b', 'c');
  });

  it('of a frozen agent is not mistaken for that of a mesh without changes', async () => {
    follow();
    await told('a', 'b');
    await soon(() =>
      expect(proxy.seen.filter(line => line === 'POST /v1/queries').length).toBeGreaterThan(1),
    );
    expect(mirror).toMatchObject({ isConnected: true, resubscriptions: 0 });
    // Its connections stay open, and nothing comes of them.
    proxy.fault = () => {};
    await soon(() => expect(mirror.isConnected).toBe(false));
    expect(mirror.names()).toEqual(['a', 'b']);
    await direct.execute([put('3', 'c')], forever);
    proxy.fault = undefined;
    await told('a', 'b', 'c');
    await soon(() => expect(mirror.isConnected).toBe(true));
  });

  it('loads all rows again on request', async () => {
    const kept = follow();
    await told('a', 'b');
    kept.restart('a test asks for it');
    await soon(() => expect(mirror).toMatchObject({ begun: 2, isConnected: true }));
    await told('a', 'b');
  });
});

/** Applies a fault to the next subscription alone. */
function once(fault: Fault): void {
  proxy.fault = (asked, pass, answer) => {
    if (!(asked.url ?? '').startsWith('/v1/subscriptions')) return pass();
    proxy.fault = undefined;
    return fault(asked, pass, answer);
  };
}
const changed = (line: string, edit: (id: number) => number) =>
  line.replace(
    /(\{"change":\[.*,)(\d+)\]\}$/,
    (_, rest: string, id: string) => `${rest}${edit(Number(id))}]}`,
  );

describe('a wrong answer of an agent leads to loading all rows again', () => {
  const faults: [string, Fault][] = [
    ['a change id is left out', (_asked, pass) => pass(line => changed(line, id => id + 1))],
    ['a change comes twice', (_asked, pass) => pass(line => changed(line, id => id - 1))],
    [
      'an error ends it',
      (_asked, pass) => pass(line => (line.includes('"change"') ? '{"error":"gone"}' : line)),
    ],
    ['a line is no JSON', (_asked, pass) => pass(line => (line.includes('"change"') ? '<html>' : line))],
    [
      'a change is of no known kind',
      (_asked, pass) => pass(line => line.replace('"change":["insert"', '"change":["upsert"')),
    ],
    ['the columns are others', (_asked, pass) => pass(line => line.replace('"container_name"', '"name"'))],
    [
      'rows come after their end',
      (_asked, pass) => pass(line => (line.includes('"eoq"') ? `${line}\n{"row":[9,["9","z"]]}` : line)),
    ],
    [
      'it answers 500',
      (_asked, _pass, answer) => {
        answer.writeHead(500);
        answer.end('{"error":"locked"}');
      },
    ],
    [
      'it breaks off within a row',
      (_asked, _pass, answer) => {
        answer.write('{"columns":["container_id","container_name"]}\n{"row":[1,["1","a"');
        setImmediate(() => answer.destroy());
      },
    ],
    [
      'it ends within a row, as if that were whole',
      (_asked, _pass, answer) => {
        answer.end('{"columns":["container_id","container_name"]}\n{"row":[1,["1","a"');
      },
    ],
    [
      'it stops before the end of the rows',
      (_asked, _pass, answer) => {
        answer.write('{"columns":["container_id","container_name"]}\n');
      },
    ],
  ];
  it.each(faults)('when %s', async (_, fault) => {
    once(fault);
    follow();
    await soon(() => expect(proxy.seen).not.toEqual([]));
    // Of the faults some show in the rows and some in the first change.
    const [ids, steady] = [
      ['3', '4', '5'].values(),
      setInterval(() => {
        const id = ids.next().value;
        if (id !== undefined) void direct.execute([put(id, `n${id}`)], forever);
      }, 100),
    ];
    cleanup.defer(() => clearInterval(steady));
    await told('a', 'b', 'n3', 'n4', 'n5');
    await soon(() => expect(mirror.isConnected).toBe(true));
    expect(mirror.resubscriptions).toBeGreaterThan(0);
    expect(mirror.begun).toBeGreaterThan(1);
  });

  it('also when the gap is between where it was left and the first change after it', async () => {
    follow();
    await told('a', 'b');
    await direct.execute([put('3', 'c')], forever);
    await told('a', 'b', 'c');
    // As an agent that has forgotten the changes of the time between, and says nothing of it.
    once((_asked, pass) => pass(line => changed(line, id => id + 5)));
    proxy.cut();
    await direct.execute([put('4', 'd'), remove('1')], forever);
    await told('b', 'c', 'd');
    expect(mirror.begun).toBe(2);
    expect(subscriptions().filter(line => line.startsWith('GET'))).toHaveLength(1);
  });
});

describe('a table that not every schema has', () => {
  const ofServices = (log: ReturnType<typeof testLog>) =>
    keepSubscription(createCorrosion({ url: standIn.url, tokenFile: undefined }), {
      name: 'service_registrations',
      statement: ['SELECT service_id, container_id FROM service_registrations', []],
      columns: ['service_id', 'container_id'],
      reader: mirror.reader,
      optional: 'nothing is registered',
      log,
      backoff: { firstMs: 5, maxMs: 50 },
      absentMs: 50,
    });

  it('counts as empty, is logged once, and is followed as soon as it exists', async () => {
    const { path } = cleanup.use(await scratchFolder());
    standIn = cleanup.use(await startStandIn(path, { tables: ['service_endpoints'] }));
    const stop = new AbortController();
    const log = { ...testLog(), warn: vi.fn() };
    const running = ofServices(log).run(stop.signal);
    cleanup.defer(async () => {
      stop.abort();
      await running;
    });
    await soon(() => expect(mirror.begun).toBeGreaterThan(3));
    expect(mirror.isConnected).toBe(true);
    expect(mirror.resubscriptions).toBe(0);
    expect(log.warn).toHaveBeenCalledTimes(1);
    expect(log.warn).toHaveBeenCalledWith(
      expect.objectContaining({ effect: 'nothing is registered' }),
      expect.stringContaining('no table service_registrations'),
    );
    await standIn.stop();
    standIn.installSchemas();
    await standIn.start();
    await createCorrosion({ url: standIn.url, tokenFile: undefined }).execute(
      [['INSERT INTO service_registrations (service_id, container_id) VALUES (?, ?)', ['s', 'c']]],
      forever,
    );
    await told('c');
  });
});
