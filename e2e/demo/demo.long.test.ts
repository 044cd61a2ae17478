// Runs `npm run demo` as a reader does: once to its end, and once interrupted in the middle.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import type { DemoStory } from './demo.ts';
import { parseCast } from './screen/asciicast.ts';
import { asSvg, readFrames } from './screen/picture.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A generous limit for a busy machine. On an idle one the demo takes two minutes. */
const testMs = 900_000;

describe('the demo', () => {
  it('tells the whole story, and records its screen', { timeout: testMs }, async () => {
    await using folder = await scratchFolder();
    const recording = join(folder.path, 'demo.cast');
    const { code, stdout, stderr } = await runChild(
      'npm',
      ['run', '--silent', 'demo', '--', '--once', '--record', recording],
      { cwd: root, timeoutMs: testMs, maxOutputBytes: 8 << 20 },
    );
    expect(code, stderr).toBe(0);
    const story = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as DemoStory;
    const [web1, web2, web3] = ['10.210.2.11', '10.210.0.12', '10.210.2.13'];
    const some = expect.any(Number) as number;
    const both = [web2, web3].map(address => expect.stringMatching(address));
    expect(story).toMatchObject({ status: 'ok', visits: { requests: some, v1: some, v2: some } });
    const told = Object.fromEntries(story.steps.map(({ step, ...facts }) => [step, facts]));
    expect(told).toMatchObject({
      build: {
        on: 'host-1',
        images: { v1: expect.stringMatching(/@sha256:/), v2: expect.stringMatching(/@sha256:/) },
      },
      run: { 'web-1': 'host-3', visitor: 'host-2' },
      resolve: { name: 'web.default.coolify.internal', addresses: [web1] },
      shut: { verdict: 'blocked', pages: 0 },
      allow: { verdict: 'passes' },
      replace: { visits: { v1: some, v2: some, failed: 0 } },
      revoke: { verdict: 'blocked' },
      scale: { addresses: expect.arrayContaining(both) },
      partition: { host: 'host-3', wg0: 'down', stream: 'up' },
      heal: { host: 'host-3', wg0: 'up', verdict: 'passes' },
      broker: { killed: 'broker-1', takes_over: 'broker-2', visits: { v1: 0, failed: 0 } },
      'broker-back': { by_way_of: 'broker-1' },
      power: { host: 'host-3', addresses: [web2] },
      boot: { host: 'host-3', addresses: expect.arrayContaining(both), verdict: 'passes' },
    });
    expect(story.steps).toHaveLength(14);
    const { visits, flows, events } = story;
    expect(visits.v1 + visits.v2 + visits.failed).toBe(visits.requests);
    expect(Math.min(visits.v1, visits.v2, visits.failed)).toBeGreaterThan(0);
    // The kernels' counters and the hosts' events.
    expect(Math.min(flows.allowed, flows.denied)).toBeGreaterThan(0);
    // Not `container.state`: a container that coold first sees running had no other state before.
    expect(events['container.created']).toBeGreaterThan(0);
    expect(events['build.state']).toBeGreaterThan(0);

    const cast = parseCast(await readFile(recording, 'utf8'));
    expect(cast).toMatchObject({ width: 80, height: 24 });
    const screens = readFrames(cast).map(({ rows }) =>
      rows.map(line => line.map(({ text }) => text).join('')).join('\n'),
    );
    for (const shown of [
      'broker-1',
      'enforcing',
      'web.default.coolify.internal',
      web1,
      '10.210.2.13 (host-3',
    ])
      expect(
        screens.some(screen => screen.includes(shown ?? '')),
        shown,
      ).toBe(true);
    expect(asSvg(cast, 2)).toContain('</svg>');
    await expect(access(`${root}.demo`)).rejects.toThrow(/ENOENT/);
  });

  it('takes everything down at Ctrl-C', { timeout: testMs }, async () => {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const child = spawn(process.execPath, [main], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    const ended = once(child, 'close');
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line);
      // Signals the whole process group, as a terminal does.
      if (line.includes('boot 3 hosts')) process.kill(-(child.pid ?? 0), 'SIGINT');
    }
    expect((await ended)[0], lines.join('\n')).toBe(130);
    await expect(access(`${root}.demo`)).rejects.toThrow(/ENOENT/);
  });

  it('reports an unknown option, and that it needs root', async () => {
    const wrong = await runChild('npm', ['run', '--silent', 'demo', '--', '--twice'], {
      cwd: root,
      timeoutMs: 120_000,
    });
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("'--twice'")]);
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const asNobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', process.execPath, main];
    const user = await runChild('setpriv', asNobody, { cwd: '/', timeoutMs: 60_000 });
    // Where other users may not read this checkout, Node reports that.
    if (!user.stderr.includes('Cannot find module') && !user.stderr.includes('EACCES'))
      expect([user.code, user.stderr]).toEqual([1, expect.stringContaining('the lab needs root')]);
  });
});
