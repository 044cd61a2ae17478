// Sends the same requests for every verb on REST over REST and over broker.sock; the answers must be equal.
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { reasons } from '@coold/errors';
import { readVerbs } from '@coold/proto';
import { runChild } from '@coold/runtime';
import { startRegistry } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, type RestVerb, type Transports, transportsTo } from './both-transports.ts';
import { type Example, examplesOf, explained, image, spare, web } from './equality-examples.ts';
import { type Stack, startStack } from './stack.ts';

const restVerbs = [...readVerbs().values()].filter((verb): verb is RestVerb => verb.http !== undefined);

const examples = examplesOf({ call, absent, fresh, revokeAll, token: () => token });

const cleanup = new AsyncDisposableStack();
let stack: Stack;
let origin: string;
let agent: Agent;
let ask: Transports;
let token: string;
beforeAll(async () => {
  stack = cleanup.use(await startStack());
  token = await readFile(join(stack.folder, 'host-jwt'), 'utf8');
  const { address } = await stack.coold.logged(({ msg }) => msg === 'serving the API');
  origin = `http://${String(address)}`;
  agent = cleanup.adopt(new Agent(), it => it.destroy());
  ask = transportsTo(stack, origin, agent);
  await stack.podman.ensureTinyImage();
  // Podman's bridges are in a different namespace from this coold, so the test creates a bridge for explanations.
  const bridge = `eq${process.pid}`;
  await runChild('ip', ['link', 'add', bridge, 'type', 'bridge'], { timeoutMs: 5000 });
  cleanup.defer(async () => void (await runChild('ip', ['link', 'del', bridge], { timeoutMs: 5000 })));
  await runChild('ip', ['addr', 'add', `${explained.gateway}/24`, 'dev', bridge], { timeoutMs: 5000 });
  await runChild('ip', ['link', 'set', bridge, 'up'], { timeoutMs: 5000 });
  // coold reads the iptables-legacy tables of this machine, while its PATH has none of the packet filter's programs.
  const [folder = ''] = stack.filter.path.split(':');
  await symlink('/usr/sbin/iptables-legacy', join(folder, 'iptables-legacy'));
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
  await soon(async () =>
    expect(await call('containers.logs', { id: 'talker' })).toMatchObject({ frames: { length: 3 } }),
  );
  const brief = ['sh', '-c', 'echo one; echo two >&2'];
  await call('containers.create', { image, name: 'brief', command: brief });
  await call('containers.start', { id: 'brief' });
  await soon(async () =>
    expect(await call('containers.inspect', { id: 'brief' })).toMatchObject({ State: { Status: 'exited' } }),
  );
});
afterAll(() => cleanup.disposeAsync());

async function call(name: string, fields: Record<string, unknown>): Promise<unknown> {
  const outcome = await ask.overStream(name, fields);
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
  const outcome = await ask.overStream(`${kind}.delete`, fields[kind]);
  if (!('data' in outcome) && outcome.code !== 404) throw new Error(`${name}: ${JSON.stringify(outcome)}`);
}

/** Replaces the container of that name by one that was never started. */
async function fresh(name: string): Promise<void> {
  await absent('containers', name);
  await call('containers.create', { image, name, stop_timeout: 0 });
}

/** All reasons, each with its code. */
const codesOfReasons = reasons.map(({ word, code }) => [word, code]);

function reasonAndCode(outcome: Outcome): unknown[] {
  return 'data' in outcome ? [] : [outcome.reason, outcome.code];
}

/** Reduces a value to its names and types. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shape(item)]));
}

describe.each(restVerbs)('$name', verb => {
  const { answered, refused } = examples[verb.name] ?? { answered: [], refused: [] };
  const askBoth = async ({ fields = {}, prepare }: Example) => {
    await prepare?.();
    const rest = await ask.overRest(verb, fields);
    await prepare?.();
    return { rest, stream: await ask.overStream(verb.name, fields) };
  };

  it('has requests that succeed and requests that are refused', () => {
    expect(Math.min(answered.length, refused.length), `examples of ${verb.name}`).toBeGreaterThan(0);
  });

  it('answers both transports with the same data', async () => {
    for (const example of answered) {
      const { rest, stream } = await askBoth(example);
      expect(stream, JSON.stringify(example.fields)).toHaveProperty('data');
      if (example.varies) expect(shape(rest), JSON.stringify(example.fields)).toEqual(shape(stream));
      else expect(rest, JSON.stringify(example.fields)).toEqual(stream);
    }
  });

  it('refuses both transports with the same code, reason, message and field', async () => {
    for (const { code, field, ...example } of refused) {
      const { rest, stream } = await askBoth(example);
      expect(stream, JSON.stringify(example.fields)).toMatchObject({ code, field });
      expect(codesOfReasons, JSON.stringify(stream)).toContainEqual(reasonAndCode(stream));
      expect(rest, JSON.stringify(example.fields)).toEqual(stream);
    }
  });
});

describe.each(restVerbs.filter(({ streams }) => streams))('$name as a stream', verb => {
  const { answered, refused, streamed = [] } = examples[verb.name] ?? { answered: [], refused: [] };

  it('streams the same over both transports, and is refused the same', async () => {
    expect(streamed.length, `examples of ${verb.name}`).toBeGreaterThan(0);
    for (const { fields = {}, prepare, varies } of [
      ...answered,
      ...refused,
      ...streamed.filter(it => !it.input),
    ]) {
      await prepare?.();
      const rest = await ask.streamOverRest(verb, fields);
      await prepare?.();
      const lane = await ask.streamOverLane(verb.name, fields);
      if (varies) expect(shape(rest), JSON.stringify(fields)).toEqual(shape(lane));
      else expect(rest, JSON.stringify(fields)).toEqual(lane);
      expect('data' in lane.said, JSON.stringify(lane)).toBe(!refused.some(it => it.fields === fields));
    }
  });

  it.each(streamed.filter(({ input }) => input !== undefined))(
    'takes the same input: $input',
    async example => {
      const { fields = {}, input, inputRefused } = example;
      const rest = await ask.streamOverRest(verb, fields, input);
      expect(rest).toEqual(await ask.streamOverLane(verb.name, fields, input));
      expect(rest.input).toMatchObject(inputRefused ?? { data: null });
    },
  );
});

it('every verb that streams does so on REST too', () => {
  const streaming = [...readVerbs().values()].filter(({ streams }) => streams);
  expect(streaming).toEqual(restVerbs.filter(({ streams }) => streams));
});

it('every example is for a verb on REST', () => {
  expect(Object.keys(examples).sort()).toEqual(restVerbs.map(({ name }) => name).sort());
});

it('work that a REST caller began goes on after the caller left', async () => {
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
  await soon(async () =>
    expect(await call('containers.inspect', { id: 'web' })).toMatchObject({ State: { Status: 'exited' } }),
  );
});
