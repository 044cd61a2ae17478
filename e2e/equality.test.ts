// Every verb with a place on REST, asked the same over REST and over broker.sock: the answers must be the same.
import { join } from 'node:path';
import { readVerbs, type Verb } from '@coold/proto';
import { startRegistry } from '@coold/testbed';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Stack, startStack } from './stack.ts';

/** What a caller learns, without the words of its transport. */
type Outcome = { data: unknown } | { code: unknown; message: unknown; field: unknown };

interface Example {
  fields?: Record<string, unknown>;
  /** Makes the host as the request wants to find it, before each of the two. */
  prepare?: () => Promise<unknown>;
  /** Compared by names and types: its values are other ones at every call. */
  varies?: true;
}

interface Examples {
  answered: Example[];
  refused: (Example & { code: number; field?: string })[];
}

type RestVerb = Verb & { http: NonNullable<Verb['http']> };
const restVerbs = [...readVerbs().values()].filter((verb): verb is RestVerb => verb.http !== undefined);

const image = 'localhost/tiny:latest';
const spare = '127.0.0.1:5000/tiny:1';
const web = { image, name: 'web', network: 'n', stop_timeout: 0 };

const shop = { service_id: 's', name: 'shop', namespace: 'default', container_id: 'web', port: 80 };
const flow = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 };
const flowId = '644d80ecc835';

const examples: Record<string, Examples> = {
  'images.pull': {
    answered: [
      { fields: { ref: spare } },
      { fields: { ref: spare }, prepare: () => absent('images', spare) },
    ],
    refused: [
      { fields: { ref: 'dir:/etc' }, code: 400, field: 'ref' },
      { fields: { ref: '127.0.0.1:5000/tiny:none' }, code: 404, field: 'ref' },
      { fields: { ref: spare, auth: { username: 'robot' } }, code: 400, field: 'auth.password' },
      { fields: { ref: spare, auth: { username: 5 } }, code: 400, field: 'auth.username' },
    ],
  },
  'images.list': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'images.delete': {
    answered: [{ fields: { ref: spare }, prepare: () => call('images.pull', { ref: spare }) }],
    refused: [
      { fields: { ref: 'localhost/nosuch:1' }, code: 404 },
      { fields: { ref: image }, code: 409 },
      { fields: { ref: 'a b?#%/é' }, code: 400, field: 'ref' },
    ],
  },
  'containers.create': {
    answered: [{ fields: { image, name: 'new' }, prepare: () => absent('containers', 'new'), varies: true }],
    refused: [
      { fields: { image, name: 'new', cap_add: ['SYS_ADMIN'] }, code: 403, field: 'cap_add[0]' },
      {
        fields: { image, name: 'new', mounts: [{ bind: '/etc', target: '/x' }] },
        code: 403,
        field: 'mounts[0].bind',
      },
      { fields: { image, hooks: [] }, code: 400, field: 'hooks' },
      { fields: { image: 'localhost/nosuch:1', name: 'new' }, code: 404, field: 'image' },
      { fields: web, code: 409, field: 'name' },
    ],
  },
  'containers.start': {
    answered: [
      { fields: { id: 'web' } },
      { fields: { id: 'web' }, prepare: () => call('containers.stop', { id: 'web' }) },
    ],
    refused: [{ fields: { id: 'nosuch' }, code: 404 }],
  },
  'containers.restart': {
    answered: [{ fields: { id: 'web' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: '../web' }, code: 400, field: 'id' },
    ],
  },
  'containers.stop': {
    answered: [{ fields: { id: 'other', timeout: 0 } }, { fields: { id: 'other' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'other', timeout: 'soon' }, code: 400, field: 'timeout' },
      { fields: { id: 'other', timeout: 86_401 }, code: 400, field: 'timeout' },
    ],
  },
  'containers.delete': {
    answered: [
      { fields: { id: 'new' }, prepare: () => fresh('new') },
      {
        fields: { id: 'new', force: true },
        prepare: async () => {
          await fresh('new');
          await call('containers.start', { id: 'new' });
        },
      },
    ],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'web', force: false }, code: 409 },
    ],
  },
  'containers.inspect': {
    answered: [{ fields: { id: 'other' } }, { fields: { id: 'web' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'ü' }, code: 400, field: 'id' },
    ],
  },
  // Streams on REST, bounded in a plain dispatch: compared by what both have said at the end.
  'containers.logs': {
    answered: [{ fields: { id: 'talker' } }, { fields: { id: 'talker', tail: 1, timestamps: true } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'talker', tail: -1 }, code: 400, field: 'tail' },
      { fields: { id: 'talker', tail: 4_294_967_295 }, code: 400, field: 'tail' },
      { fields: { id: 'talker', stdout: false }, code: 400, field: 'stdout' },
    ],
  },
  'containers.exec': {
    answered: [
      { fields: { id: 'web', cmd: ['/bin/busybox', 'echo', 'hé'] } },
      { fields: { id: 'web', cmd: ['/bin/busybox', 'sh', '-c', 'exit 3'], env: { A: 'b' } } },
      { fields: { id: 'web', cmd: ['/bin/busybox', 'tty'], tty: true } },
    ],
    refused: [
      { fields: { id: 'web', cmd: [] }, code: 400, field: 'cmd' },
      { fields: { id: 'web', cmd: ['a'], workdir: 'x' }, code: 400, field: 'workdir' },
      { fields: { id: 'nosuch', cmd: ['a'] }, code: 404 },
      { fields: { id: 'other', cmd: ['a'] }, code: 409 },
    ],
  },
  'containers.healthcheck': {
    answered: [{ fields: { id: 'web' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'other' }, code: 409 },
    ],
  },
  'volumes.create': {
    answered: [
      { fields: { name: 'v' } },
      { fields: { name: 'w', labels: { a: 'é' } }, prepare: () => absent('volumes', 'w'), varies: true },
    ],
    refused: [
      { fields: {}, code: 400, field: 'name' },
      { fields: { name: 'w', labels: { a: 1 } }, code: 400, field: 'labels.a' },
    ],
  },
  'volumes.delete': {
    answered: [{ fields: { name: 'w' }, prepare: () => call('volumes.create', { name: 'w' }) }],
    refused: [
      { fields: { name: 'nosuch' }, code: 404 },
      { fields: { name: 'v' }, code: 409 },
    ],
  },
  'volumes.inspect': {
    answered: [{ fields: { name: 'v' } }],
    refused: [{ fields: { name: 'nosuch' }, code: 404 }],
  },
  'networks.create': {
    answered: [
      {
        fields: { name: 'm', namespace: 'shop', subnet: '10.231.6.0/24', gateway: '10.231.6.9' },
        prepare: () => absent('networks', 'm'),
      },
    ],
    refused: [
      { fields: { name: 'n', subnet: '10.231.7.0/24' }, code: 409, field: 'name' },
      { fields: { name: 'm2', subnet: '10.231.5.128/25' }, code: 409, field: 'subnet' },
      { fields: { name: 'm2', driver: 'macvlan' }, code: 400, field: 'driver' },
    ],
  },
  'networks.delete': {
    answered: [
      {
        fields: { name: 'm' },
        prepare: async () => {
          await absent('networks', 'm');
          await call('networks.create', { name: 'm' });
        },
      },
    ],
    refused: [
      { fields: { name: 'nosuch' }, code: 404 },
      { fields: { name: 'n' }, code: 409 },
      { fields: { name: 'podman' }, code: 409 },
    ],
  },
  'networks.list': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'firewall.allow': {
    answered: [
      { fields: flow },
      { fields: { ...flow, namespace: 'shop' }, prepare: revokeAll },
      { fields: { src: '10.210.0.2', dst: '10.210.0.3', id: '06386f90350d' } },
    ],
    refused: [
      { fields: { ...flow, src: '10.210.0.0/24' }, code: 400, field: 'src' },
      { fields: { ...flow, dst: 'fd00::1' }, code: 400, field: 'dst' },
      { fields: { ...flow, proto: 'TCP ' }, code: 400, field: 'proto' },
      { fields: { ...flow, port: 0 }, code: 400, field: 'port' },
      { fields: { ...flow, port: '80' }, code: 400, field: 'port' },
      { fields: { ...flow, namespace: 'a"\n' }, code: 400, field: 'namespace' },
      { fields: { ...flow, id: '000000000000' }, code: 400, field: 'id' },
    ],
  },
  'firewall.revoke': {
    answered: [
      { fields: { id: flowId }, prepare: () => call('firewall.allow', flow) },
      { fields: { id: '000000000000' } },
    ],
    refused: [{ fields: { id: 'x' }, code: 400, field: 'id' }],
  },
  'firewall.list': {
    answered: [{ prepare: () => call('firewall.allow', flow) }, { fields: { namespace: 'nobody' } }],
    refused: [
      { fields: { namespace: 'A' }, code: 400, field: 'namespace' },
      { fields: { nosuch: 'x' }, code: 400, field: 'nosuch' },
    ],
  },
  'firewall.show': {
    answered: [{ fields: { id: flowId }, prepare: () => call('firewall.allow', flow) }],
    refused: [
      { fields: { id: '000000000000' }, code: 404 },
      { fields: { id: '../../x' }, code: 400, field: 'id' },
    ],
  },
  'firewall.bulk': {
    answered: [
      {
        fields: { add: [flow, { ...flow, port: 81 }], remove: ['000000000000'] },
        prepare: revokeAll,
      },
    ],
    refused: [
      { fields: { add: [flow, { ...flow, src: '10.1' }] }, code: 400, field: 'add[1].src' },
      { fields: { add: [flow], remove: [flowId] }, code: 400, field: 'add[0]' },
      { fields: { remove: ['0'] }, code: 400, field: 'remove[0]' },
    ],
  },
  'firewall.reconcile': { answered: [{}], refused: [{ fields: { force: true }, code: 400, field: 'force' }] },
  'firewall.status': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'services.register': {
    answered: [{ fields: shop }, { fields: { ...shop, port: 0 } }],
    refused: [
      { fields: { ...shop, container_id: 'nosuch' }, code: 404 },
      { fields: { ...shop, name: 'a.b' }, code: 400, field: 'name' },
      { fields: { ...shop, namespace: '' }, code: 400, field: 'namespace' },
      { fields: { ...shop, port: 65_536 }, code: 400, field: 'port' },
    ],
  },
  'services.unregister': {
    answered: [
      { fields: { id: 's', container_id: 'web' }, prepare: () => call('services.register', shop) },
      { fields: { id: 'nosuch', container_id: 'nosuch' } },
    ],
    refused: [{ fields: { id: 's', container_id: 'a b' }, code: 400, field: 'container_id' }],
  },
  'services.endpoints': {
    answered: [
      // What is known of a container follows what happened to it a moment later.
      { fields: { id: 's' }, prepare: () => call('services.register', shop), varies: true },
      { fields: { id: 'nosuch' } },
    ],
    refused: [{ fields: { id: 's', nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
  'dns.lookup': {
    answered: [
      { fields: { name: 'Default.coolify.internal' } },
      { fields: { name: 'web.coolify.internal' } },
    ],
    refused: [{ fields: { name: 'a b?#%/é' }, code: 400, field: 'name' }],
  },
  'dns.stats': {
    answered: [{ varies: true }],
    refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
  'host.info': {
    answered: [{ varies: true }],
    refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
  'host.containers': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'host.stats': {
    answered: [{ varies: true }],
    refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
};

const cleanup = new AsyncDisposableStack();
let stack: Stack;
let origin: string;
let agent: Agent;
beforeAll(async () => {
  stack = cleanup.use(await startStack());
  const { address } = await stack.coold.logged(({ msg }) => msg === 'serving the API');
  origin = `http://${String(address)}`;
  agent = cleanup.adopt(new Agent(), it => it.destroy());
  await stack.podman.ensureTinyImage();
  cleanup.use(await startRegistry(stack.podman, { folder: join(stack.folder, 'registry'), port: 5000 }));
  const push = `/v4.0.0/libpod/images/${encodeURIComponent(image)}/push?destination=${spare}`;
  const pushed = await stack.podman.request({ method: 'POST', path: push });
  if (pushed.status !== 200 || pushed.text.includes('"error"')) throw new Error(pushed.text);
  await call('networks.create', { name: 'n', subnet: '10.231.5.0/24' });
  await call('volumes.create', { name: 'v' });
  const healthcheck = { test: ['CMD', '/bin/busybox', 'true'], interval: 5 };
  await call('containers.create', { ...web, mounts: [{ volume: 'v', target: '/v' }], healthcheck });
  await call('containers.start', { id: 'web' });
  await fresh('other');
  const command = ['sh', '-c', 'echo one; echo two; echo three; exec /bin/busybox sleep 1000'];
  await call('containers.create', { image, name: 'talker', command, stop_timeout: 0 });
  await call('containers.start', { id: 'talker' });
  await vi.waitFor(async () =>
    expect(await call('containers.logs', { id: 'talker' })).toMatchObject({ frames: { length: 3 } }),
  );
});
afterAll(() => cleanup.disposeAsync());

let requests = 0;
async function overStream(name: string, fields: Record<string, unknown>): Promise<Outcome> {
  requests += 1;
  const answer = await stack.dispatch(`e-${requests}`, { type: name, ...fields });
  const { status, data, code, message, field } = answer.json() as Record<string, unknown>;
  return status === 'ok' ? { data } : { code, message, field };
}

async function overRest({ http, streams }: RestVerb, fields: Record<string, unknown>): Promise<Outcome> {
  const { method, path, pathFields, status } = http;
  const at = path.replaceAll(/\{([^}]*)\}/g, (_, name: string) => encodeURIComponent(String(fields[name])));
  const rest = Object.entries(fields).filter(([name]) => !pathFields.includes(name));
  const query = new URLSearchParams(rest.map(([name, value]) => [name, String(value)]));
  const answer = await request(`${origin}${at}${method === 'POST' || rest.length === 0 ? '' : `?${query}`}`, {
    dispatcher: agent,
    method,
    headers: {
      authorization: `Bearer ${stack.pairing.apiToken}`,
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
    },
    body: method === 'POST' ? JSON.stringify(Object.fromEntries(rest)) : null,
  });
  const text = await answer.body.text();
  if (answer.statusCode === status && streams) return { data: collected(text) };
  if (answer.statusCode === status) return { data: status === 204 && text === '' ? null : JSON.parse(text) };
  const { error, field } = JSON.parse(text) as Record<string, unknown>;
  return { code: answer.statusCode, message: error, field };
}

/** What a stream said, as the bounded answer of a plain dispatch has it. */
function collected(ndjson: string): unknown {
  const lines = ndjson.split('\n').slice(0, -1);
  const said = lines.map(line => JSON.parse(line) as Record<string, unknown>);
  const { exit_code } = said.at(-1) ?? {};
  if (exit_code === undefined) return { frames: said, truncated: false };
  return { exit_code, output: said.map(({ data }) => data ?? '').join(''), truncated: false };
}

async function call(name: string, fields: Record<string, unknown>): Promise<unknown> {
  const outcome = await overStream(name, fields);
  if (!('data' in outcome)) throw new Error(`${name}: ${JSON.stringify(outcome)}`);
  return outcome.data;
}

async function revokeAll(): Promise<void> {
  for (const { id } of (await call('firewall.list', {})) as { id: string }[])
    await call('firewall.revoke', { id });
}

async function absent(kind: 'images' | 'containers' | 'volumes' | 'networks', name: string): Promise<void> {
  const fields = {
    images: { ref: name },
    containers: { id: name, force: true },
    volumes: { name },
    networks: { name },
  };
  const outcome = await overStream(`${kind}.delete`, fields[kind]);
  if (!('data' in outcome) && outcome.code !== 404) throw new Error(`${name}: ${JSON.stringify(outcome)}`);
}

/** A container of that name that was never started. */
async function fresh(name: string): Promise<void> {
  await absent('containers', name);
  await call('containers.create', { image, name, stop_timeout: 0 });
}

/** Names and types only. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shape(item)]));
}

describe.each(restVerbs)('$name', verb => {
  const { answered, refused } = examples[verb.name] ?? { answered: [], refused: [] };
  const ask = async ({ fields = {}, prepare }: Example) => {
    await prepare?.();
    const rest = await overRest(verb, fields);
    await prepare?.();
    return { rest, stream: await overStream(verb.name, fields) };
  };

  it('has requests that are answered and requests that are refused', () => {
    expect(Math.min(answered.length, refused.length), `examples of ${verb.name}`).toBeGreaterThan(0);
  });

  it('answers both transports with the same data', async () => {
    for (const example of answered) {
      const { rest, stream } = await ask(example);
      expect(stream, JSON.stringify(example.fields)).toHaveProperty('data');
      if (example.varies) expect(shape(rest), JSON.stringify(example.fields)).toEqual(shape(stream));
      else expect(rest, JSON.stringify(example.fields)).toEqual(stream);
    }
  });

  it('refuses both transports with the same code, message and field', async () => {
    for (const { code, field, ...example } of refused) {
      const { rest, stream } = await ask(example);
      expect(stream, JSON.stringify(example.fields)).toMatchObject({ code, field });
      expect(rest, JSON.stringify(example.fields)).toEqual(stream);
    }
  });
});

it('no example is of a verb that is not on REST', () => {
  expect(Object.keys(examples).sort()).toEqual(restVerbs.map(({ name }) => name).sort());
});

it('what a REST caller began goes on after it left', async () => {
  await call('containers.start', { id: 'web' });
  const left = request(`${origin}/api/v1/containers/web/stop`, {
    dispatcher: agent,
    method: 'POST',
    headers: { authorization: `Bearer ${stack.pairing.apiToken}`, 'content-type': 'application/json' },
    body: '{"timeout":2}',
    signal: AbortSignal.timeout(300),
  });
  await expect(left).rejects.toMatchObject({ name: 'TimeoutError' });
  const line = await stack.coold.logged(({ verb, status }) => verb === 'containers.stop' && status === 499);
  expect(line).toMatchObject({ transport: 'rest' });
  expect(await call('containers.inspect', { id: 'web' })).toMatchObject({ State: { Status: 'stopping' } });
  await vi.waitFor(
    async () =>
      expect(await call('containers.inspect', { id: 'web' })).toMatchObject({ State: { Status: 'exited' } }),
    { timeout: 10_000, interval: 100 },
  );
});
