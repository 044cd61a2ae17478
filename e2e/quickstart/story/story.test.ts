// Checks the story as data, and the README that quotes it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readVerbs } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { flow, ruleId, type Scene } from './calls.ts';
import type { Answer, Call } from './step.ts';
import { countVisits, tellStory } from './story.ts';
import { built, done, getsNothing, healthy, runs, says, verdict } from './wanted.ts';

const scene: Scene = {
  hostId: 'host-1',
  network: 'coolify-default-mesh',
  prefix: '10.210.0',
  repository: 'git://198.18.0.1/site',
  baseImage: 'localhost/base:latest',
};
const steps = tellStory(scene);
const calls = steps.flatMap(({ acts }) => acts.flatMap(act => (act.does === 'close' ? [] : [act.call])));
const commandOf = ({ body }: Call) => (body as { command?: { type: string } } | undefined)?.command;
const requestIdOf = ({ body }: Call) => (body as { request_id?: string } | undefined)?.request_id;

describe('the story', () => {
  it('uses existing verbs on its one host', () => {
    const dispatches = calls.filter(({ path }) => path.startsWith('/v1/coold/'));
    expect(dispatches.length).toBeGreaterThan(25);
    for (const call of dispatches) {
      expect(readVerbs().has(commandOf(call)?.type ?? ''), JSON.stringify(call)).toBe(true);
      expect(call.body).toMatchObject({ host_id: 'host-1' });
    }
  });

  it('has a unique request id for each call', () => {
    const ids = calls.flatMap(call => requestIdOf(call) ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/);
  });

  it('revokes what it allowed and removes what it created, so that it can be repeated', () => {
    const commands = calls.flatMap(call => commandOf(call) ?? []) as Record<string, unknown>[];
    const of = (type: string, field: string) =>
      commands.filter(command => command['type'] === type).map(command => command[field]);
    const allowed = commands.filter(({ type }) => type === 'firewall.allow');
    expect(of('firewall.revoke', 'id')).toEqual(
      allowed.map(({ src, dst }) => ruleId(flow(String(src), String(dst)))),
    );
    expect(of('containers.delete', 'id').toSorted()).toEqual(of('containers.create', 'name').toSorted());
    expect(of('services.unregister', 'container_id')).toEqual(of('services.register', 'container_id'));
  });

  it('is quoted exactly in the README', () => {
    const readme = readFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8');
    const quoted = [...readme.matchAll(/^quickstart: +[\d.]+ s {2}\[ ?(\d+)\/(\d+)\] (.+)$/gm)];
    expect(quoted.length).toBeGreaterThan(5);
    for (const [line, number, of, title] of quoted) {
      expect(Number(of), line).toBe(steps.length);
      expect(title, line).toBe(steps[Number(number) - 1]?.title);
    }
  });
});

it('the id of a rule is the one of the contract', () => {
  // The example of docs/contract.md §4.
  expect(ruleId({ ...flow('10.210.5.2', '10.210.6.3') })).toBe('644d80ecc835');
});

it('counts visits by version', () => {
  const lines = ['<h1>version 1</h1>', 'FAILED', '<h1>version 2</h1>', '<h1>version 2</h1>', '502'];
  expect(countVisits({ lines, exitCode: 0 })).toEqual({ requests: 5, failed: 2, v1: 1, v2: 2 });
});

describe('an answer', () => {
  const ok = (data: unknown): Answer => ({ status: 200, body: { status: 'ok', data } });
  const ran = (exitCode: number, output = '') => ok({ exit_code: exitCode, output, truncated: false });

  it('matches only the expected answer', () => {
    expect(done.fits(ok(null))).toBe(true);
    expect(done.fits({ status: 200, body: { status: 'error', code: 404 } })).toBe(false);
    expect(done.fits({ status: 504, body: { status: 'ok', data: null } })).toBe(false);
    expect(built.fits({ status: 200, body: { status: 'ok', digest: 'sha256:0' } })).toBe(true);
    expect(built.fits({ status: 408, body: { status: 'error' } })).toBe(false);
    expect([healthy.fits(ok({ status: 'healthy' })), healthy.fits(ok({ status: 'starting' }))]).toEqual([
      true,
      false,
    ]);
    expect([
      verdict('passes').fits(ok({ verdict: 'passes' })),
      verdict('passes').fits(ok({ verdict: 'unknown' })),
    ]).toEqual([true, false]);
  });

  it('of a program is judged by its exit code and output', () => {
    expect(says('a').fits(ran(0, 'b a c'))).toBe(true);
    expect(says('a').fits(ran(1, 'a'))).toBe(false);
    expect(says('a', 'b').fits(ran(0, 'a b'))).toBe(false);
    expect(getsNothing.fits(ran(143))).toBe(true);
    for (const code of [0, 1, 139]) expect(getsNothing.fits(ran(code)), `${code}`).toBe(false);
  });

  it('of a list is judged by the running containers', () => {
    const list = ok([
      { name: 'a', state: 'running' },
      { name: 'b', state: 'exited' },
    ]);
    expect(runs('a').fits(list)).toBe(true);
    expect(runs('a', 'b').fits(list)).toBe(false);
    expect(runs('a').fits(ok({}))).toBe(false);
  });
});
