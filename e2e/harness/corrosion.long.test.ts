import { corrosionConfig } from '@coold/testbed';
import { parseAgentConfig } from '@coold/testbed/corrosion-agent-config';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installCorrosion } from './corrosion.ts';
import { createLab } from './lab/lab.ts';
import { joinMesh } from './mesh.ts';
import { expectExec, type Host, type Provider } from './provider.ts';

const schema = `CREATE TABLE notes (id TEXT NOT NULL DEFAULT '' PRIMARY KEY, text TEXT NOT NULL DEFAULT '');`;

let lab: Provider;
let a: Host;
let b: Host;

beforeAll(async () => {
  lab = await createLab();
  const members = await joinMesh(await lab.up(['a', 'b']), []);
  const [first, second] = members.map(({ host }) => host);
  if (first === undefined || second === undefined) throw new Error('two hosts were asked for');
  [a, b] = [first, second];
  expect(await installCorrosion(members, { schemas: { 'notes.sql': schema }, path: '/none' })).toBe(
    'stand-in',
  );
}, 60_000);

afterAll(() => lab?.close(), 30_000);

/** Calls the agent from its own host, as coold does. */
async function call(host: Host, path: string, body: unknown): Promise<string> {
  const program = `
    const [path, body] = process.argv.slice(1);
    const answer = await fetch('http://127.0.0.1:8080/v1/' + path, {
      method: 'POST', body, headers: { 'content-type': 'application/json' },
    });
    process.stdout.write(await answer.text());
    process.exitCode = answer.ok ? 0 : 1;`;
  const node = '/usr/local/lib/coold-e2e/node';
  return await expectExec(host, [node, '--input-type=module', '-e', program, path, JSON.stringify(body)]);
}

const write = (host: Host, id: string) =>
  call(host, 'transactions', [['INSERT INTO notes VALUES (?, ?)', [id, `by ${host.name}`]]]);
const read = async (host: Host) => {
  const frames = (await call(host, 'queries', 'SELECT id FROM notes ORDER BY id')).trim().split('\n');
  return frames.flatMap(frame => /"row":\[\d+,\["(.*)"\]\]/.exec(frame)?.[1] ?? []);
};

test('the stand-in reads the configuration that is written', () => {
  expect(parseAgentConfig(corrosionConfig('100.64.0.1', ['100.64.0.2'], 'to"ken'))).toMatchObject({
    gossip: { host: '100.64.0.1', port: 8787 },
    bootstrap: [{ host: '100.64.0.2', port: 8787 }],
    bearerToken: 'to"ken',
  });
  expect(corrosionConfig('100.64.0.1', [])).toMatch(/^idle_timeout_secs = 5$/m);
});

test('rows written on one host appear on the other, also after a partition and a reboot', {
  timeout: 150_000,
}, async () => {
  const settles = (host: Host, ids: string[]) =>
    expect.poll(() => read(host).catch(() => []), { timeout: 40_000, interval: 200 }).toEqual(ids);
  await write(a, '1-a');
  await write(b, '2-b');
  await settles(a, ['1-a', '2-b']);
  await settles(b, ['1-a', '2-b']);
  await a.cut();
  await write(a, '3-a');
  await write(b, '4-b');
  expect(await read(b)).toEqual(['1-a', '2-b', '4-b']);
  await a.heal();
  await settles(a, ['1-a', '2-b', '3-a', '4-b']);
  await settles(b, ['1-a', '2-b', '3-a', '4-b']);
  await a.crash();
  await write(b, '5-b');
  await a.boot();
  await settles(a, ['1-a', '2-b', '3-a', '4-b', '5-b']);
});
