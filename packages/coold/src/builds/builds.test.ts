import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  BuildPushSchema,
  BuildRequestSchema,
  BuildStack,
  HostedBuild_State,
  type Response,
} from '@coold/proto';
import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silent as log } from '../../test/caller.ts';
import { cancelledFile, noNetworks, simulateSystemd } from '../../test/simulated-systemd.ts';
import { keptMs, keptReadMs } from './adoption.ts';
import { type Builds, createBuilds, folderRefusal, withoutUser } from './builds.ts';
import { Driver } from './driver.ts';
import { createWorkFolders } from './folder/work-folder.ts';
import { NetworkError } from './network/network-error.ts';
import { readUnitStates } from './unit/systemd.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const ok = {
  name: 'result.json',
  content: { digest, registry_ref: `localhost/app@${digest}`, duration_ms: 5, stack_used: 'static' },
} as const;
const request = create(BuildRequestSchema, {
  repoUrl: 'https://git.example/app.git',
  gitRef: 'main',
  targetImage: 'localhost/app:1',
  stack: BuildStack.STATIC,
});
const limits = { memoryMax: '2G', cpuQuota: '200%', diskMax: '10G', inodesMax: '2000000', cacheMax: '5G' };
const config = { bin: '/b', timeoutSecs: 60, ...limits, denyNets: [] };

/** A coold's builds on a disk and a systemd that outlive it; the outcomes that its broker hears of, in order. */
async function setUp({ capacity = 2, maxQueued = 3, networks = noNetworks } = {}) {
  const scratch = await scratchFolder();
  const root = join(scratch.path, 'work');
  const simulated = simulateSystemd();
  const { systemd } = simulated;
  const heard: string[] = [];
  let clock = Date.now();
  let stop = new AbortController();
  let builds: Builds;
  const start = async () => {
    stop = new AbortController();
    const folders = createWorkFolders(root);
    const times = { start: 200, slack: 100, grace: 200 };
    builds = createBuilds({
      folders,
      log,
      capacity,
      maxQueued,
      stop: stop.signal,
      now: () => clock,
      driver: new Driver({ folders, systemd, networks, config, log, times }),
      unitStates: () => readUnitStates(systemd, log),
    });
    await builds.adopt();
    builds.attach(async (id, body) => void heard.push(`${id}: ${wordOf(body)}`), stop.signal);
  };
  await start();
  return {
    root,
    simulated,
    heard,
    start,
    builds: () => builds,
    take: (id: string) => builds.take(id, request),
    /** SIGKILL, as far as a process can do it to itself: nothing that it has begun is waited for. */
    kill: () => stop.abort(),
    async restart() {
      stop.abort();
      await start();
    },
    running: (id: string) => soon(() => expect(simulated.started).toContain(id)),
    marked: (id: string) => soon(() => expect(access(join(root, id, 'queued'))).rejects.toThrow()),
    hears: (...lines: string[]) => soon(() => expect(heard).toEqual(lines)),
    hosted: () =>
      builds
        .hosted()
        .map(
          ({ requestId, state, wasRead }) =>
            `${requestId} ${HostedBuild_State[state]}${wasRead ? ', read' : ''}`,
        ),
    pass(ms: number) {
      clock += ms;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

function wordOf({ case: kind, value }: Response['body']): string {
  if (kind !== 'build') return `${kind}`;
  const { body } = value;
  return body.case === 'err' ? `${body.value.code} ${body.value.message}` : `${body.case}`;
}
const refused = (code: number) => expect.objectContaining({ code }) as Error;

describe('a build', () => {
  it('is taken, started, answered, kept until it was read, and gone', async () => {
    await using t = await setUp();
    await t.take('b');
    expect(t.hosted()).toEqual(['b RUNNING']);
    await t.running('b');
    await t.marked('b');
    expect(t.builds().result('b')).toBeUndefined();
    await t.builds().acknowledge('b');
    expect(await readdir(t.root)).toEqual(['b']);
    await t.simulated.end('b', ok);
    await t.hears('b: ok');
    expect(t.hosted()).toEqual(['b FINISHED']);
    expect(t.builds().result('b')).toMatchObject({ value: { body: { value: { digest } } } });
    await t.builds().acknowledge('b');
    await t.builds().acknowledge('b');
    expect(t.hosted()).toEqual(['b FINISHED, read']);
    expect(t.builds().result('b')).toMatchObject({ value: { body: { value: { digest } } } });
    await t.builds().acknowledge('b', { remove: true });
    expect(await readdir(t.root)).toEqual([]);
    expect(t.hosted()).toEqual([]);
    expect(() => t.builds().result('b')).toThrow(refused(404));
    await t.take('b');
    expect(t.heard).toEqual(['b: ok']);
  });

  it('whose result was read can be asked for again for an hour, by the next coold too, and its id is free', async () => {
    await using t = await setUp();
    for (const id of ['b', 'again']) {
      await t.take(id);
      await t.running(id);
      await t.simulated.end(id, ok);
    }
    await t.hears('b: ok', 'again: ok');
    for (const id of ['b', 'again']) await t.builds().acknowledge(id);
    await t.restart();
    t.pass(keptReadMs - 1000);
    await t.builds().acknowledge('b');
    await t.builds().sweep();
    expect(t.builds().result('b')).toMatchObject({ value: { body: { value: { digest } } } });
    await t.take('again');
    expect(t.hosted()).toEqual(['b FINISHED, read', 'again RUNNING']);
    t.pass(1000);
    await t.builds().sweep();
    expect(t.hosted(), 'counted from the first time').toEqual(['again RUNNING']);
  });

  it('is what its nonce says, and of commands for another dispatch of its id nothing comes', async () => {
    await using t = await setUp();
    await t.builds().take('b', create(BuildRequestSchema, { ...request, nonce: 'n-1' }));
    await t.running('b');
    await t.marked('b');
    await t.builds().cancel('b', 'n-2');
    await t.restart();
    expect(t.builds().hosted()).toMatchObject([{ requestId: 'b', nonce: 'n-1' }]);
    await t.simulated.end('b', ok);
    await t.hears('b: ok');
    await t.builds().acknowledge('b', { nonce: 'n-2', remove: true });
    expect(() => t.builds().result('b', 'n-2')).toThrow(refused(404));
    expect(t.builds().result('b', 'n-1')).toMatchObject({ value: { nonce: 'n-1' } });
    await t.builds().acknowledge('b', { nonce: 'n-1', remove: true });
    expect(await readdir(t.root)).toEqual([]);
    const bad = create(BuildRequestSchema, { ...request, nonce: '../n' });
    await expect(t.builds().take('c', bad)).rejects.toMatchObject({ code: 400, field: 'nonce' });
  });

  it('has the credentials of its push on the disk until it has begun, and in no ending after it', async () => {
    await using t = await setUp({ capacity: 1 });
    const auth = { username: 'robot', password: 'geheim-1' };
    const repoUrl = 'https://me:geheim-2@git.example/app.git';
    const push = create(BuildPushSchema, { auth });
    const secret = create(BuildRequestSchema, { ...request, repoUrl, push, targetImage: 'r.example/x:1' });
    for (const id of ['ok', 'queued', 'cancelled', 'lost']) {
      await t.builds().take(id, secret);
      t.pass(10);
    }
    const stored = (id: string) => readFile(join(t.root, id, 'request.json'), 'utf8');
    await t.running('ok');
    await t.marked('ok');
    await t.restart();
    expect(JSON.parse(await stored('queued'))).toMatchObject({ push: { auth }, repo_url: repoUrl });
    await t.builds().cancel('cancelled');
    await t.simulated.end('ok', ok);
    await t.running('queued');
    await t.simulated.end('queued', cancelledFile);
    await t.running('lost');
    await t.marked('lost');
    t.kill();
    t.simulated.boot();
    await t.start();
    await soon(() => expect(t.hosted().filter(line => line.endsWith('FINISHED'))).toHaveLength(4));
    for (const id of ['ok', 'queued', 'cancelled', 'lost']) {
      expect(await stored(id), id).not.toMatch(/geheim/);
      expect(JSON.parse(await stored(id)), id).toMatchObject({ push: {}, target_image: 'r.example/x:1' });
    }
  });

  it('of an id that is here, of nonsense, and of one too many is refused, and leaves nothing', async () => {
    await using t = await setUp({ capacity: 1, maxQueued: 1 });
    const both = await Promise.allSettled([t.take('b'), t.take('b')]);
    expect(both).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 409 } }]);
    const bad = create(BuildRequestSchema, { ...request, repoUrl: 'ext::sh' });
    await expect(t.builds().take('bad', bad)).rejects.toMatchObject({ code: 400, field: 'repo_url' });
    await t.take('c');
    await expect(t.take('d')).rejects.toMatchObject({ code: 503 });
    await mkdir(join(t.root, 'e', 'x'), { recursive: true });
    await t.simulated.end('b', ok);
    await soon(() => expect(t.hosted()).toEqual(['b FINISHED', 'c RUNNING']));
    await expect(t.take('e')).rejects.toMatchObject({ code: 409 });
    expect((await readdir(t.root)).toSorted()).toEqual(['b', 'c', 'e']);
  });

  it('waits for a place, and says which', async () => {
    await using t = await setUp({ capacity: 1 });
    for (const id of ['a', 'b', 'c']) await t.take(id);
    expect(t.hosted()).toEqual(['a RUNNING', 'b QUEUED', 'c QUEUED']);
    await t.running('a');
    await t.simulated.end('a', ok);
    await t.running('b');
    const events = await readFile(join(t.root, 'c', 'events.ndjson'), 'utf8');
    const places = events
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { log: string }).log.slice(0, 12));
    expect(places).toEqual(['place 2 of 2', 'place 1 of 1']);
    expect(t.simulated.started).toEqual(['a', 'b']);
  });

  it('that cannot have a network says why, and starts nothing', async () => {
    const prepare = async () => {
      throw new NetworkError('COOLD_BUILDER_NET=240.0.0.0/24 is not free');
    };
    await using t = await setUp({ networks: { ...noNetworks, prepare } });
    await t.take('b');
    await t.hears('b: 500 the build did not start: COOLD_BUILDER_NET=240.0.0.0/24 is not free');
    expect(t.simulated.started).toEqual([]);
  });

  it('whose unit does not start says why', async () => {
    await using t = await setUp();
    for (const [how, id] of [
      ['missing', 'm'],
      ['refuses', 'r'],
      ['hangs', 'h'],
    ] as const) {
      t.simulated.broken.run = how;
      await t.take(id);
      await soon(() => expect(t.heard).toHaveLength(1));
      expect(t.heard.splice(0)[0]).toMatch(/^.: 500 the build did not start: (systemd-run|Failed to start)/);
    }
  });
});

describe('a cancel', () => {
  it('of a running build is recorded before the unit is signalled', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await Promise.all([t.builds().cancel('b'), t.builds().cancel('b')]);
    await t.hears('b: 499 cancelled');
    expect(t.simulated.signals).toEqual(['SIGTERM b']);
    expect(t.simulated.loaded()).toEqual([]);
    await t.builds().cancel('b');
    await t.restart();
    await t.hears('b: 499 cancelled', 'b: 499 cancelled');
  });

  it('of one that waits, or that is only just taken, starts nothing', async () => {
    await using t = await setUp({ capacity: 1 });
    await t.take('a');
    await t.take('b');
    await t.builds().cancel('b');
    const taken = t.take('c');
    await Promise.all([taken, t.builds().cancel('c')]);
    await t.hears('b: 499 cancelled', 'c: 499 cancelled');
    expect(t.simulated.started).toEqual(['a']);
  });

  it('that comes too late, or for what is not here, changes nothing', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await t.simulated.end('b', ok);
    await t.hears('b: ok');
    await t.builds().cancel('b');
    await t.builds().cancel('none');
    expect(t.builds().result('b')).toMatchObject({ value: { body: { case: 'ok' } } });
  });

  it('that coold did not live to carry out is carried out by the next', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await t.marked('b');
    t.kill();
    await createWorkFolders(t.root).markCancelled('b');
    await t.start();
    await t.hears('b: 499 cancelled');
    expect(t.simulated.signals).toEqual(['SIGTERM b']);
  });
});

describe('after coold was killed', () => {
  it('waits for a running build, and answers one that ended meanwhile', async () => {
    await using t = await setUp();
    for (const id of ['a', 'b']) await t.take(id);
    for (const id of ['a', 'b']) await t.running(id);
    for (const id of ['a', 'b']) await t.marked(id);
    t.kill();
    await t.simulated.end('a', ok);
    await t.start();
    await t.hears('a: ok');
    expect(t.hosted().toSorted()).toEqual(['a FINISHED', 'b RUNNING']);
    await t.simulated.end('b', ok);
    await t.hears('a: ok', 'b: ok');
    expect(t.simulated.started).toEqual(['a', 'b']);
  });

  it('a hundred of them are all known again before the broker hears of this host', async () => {
    await using t = await setUp({ capacity: 100 });
    const ids = Array.from({ length: 100 }, (_, n) => `b${n}`);
    await Promise.all(ids.map(t.take));
    for (const id of ids) await t.marked(id);
    await t.restart();
    expect(t.hosted().toSorted()).toEqual(ids.map(id => `${id} RUNNING`).toSorted());
    await Promise.all(ids.map(id => t.simulated.end(id, ok)));
    await soon(() => expect(t.heard.toSorted()).toEqual(ids.map(id => `${id}: ok`).toSorted()), {
      timeout: 60_000,
    });
    expect(t.simulated.started).toHaveLength(100);
  }, 120_000);

  it('one that waited is started, in its turn', async () => {
    await using t = await setUp({ capacity: 1 });
    for (const id of ['a', 'z', 'b']) {
      await t.take(id);
      t.pass(10);
    }
    await t.running('a');
    await t.marked('a');
    await t.restart();
    expect(t.hosted().toSorted()).toEqual(['a RUNNING', 'b QUEUED', 'z QUEUED']);
    await t.simulated.end('a', ok);
    await t.running('z');
    await t.simulated.end('z', ok);
    await t.running('b');
    expect(t.simulated.started).toEqual(['a', 'z', 'b']);
  });

  it('an unknown stack does not get the sandbox of another stack', async () => {
    await using t = await setUp({ capacity: 1 });
    await t.take('a');
    await t.running('a');
    await t.marked('a');
    await t.take('b');
    const path = join(t.root, 'b', 'request.json');
    const request = JSON.parse(await readFile(path, 'utf8')) as object;
    t.kill();
    await writeFile(path, JSON.stringify({ ...request, stack: 'railpack' }));
    await t.start();
    await t.simulated.end('a', ok);
    await t.hears('a: ok', 'b: 501 this coold does not build the stack of this build');
    expect(t.simulated.started).toEqual(['a']);
  });

  it('one whose host was booted is a 500, and the same one from then on', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await t.marked('b');
    t.kill();
    t.simulated.boot();
    await t.start();
    await t.hears('b: 500 builder exited without result file');
    await t.builds().acknowledge('b', { remove: true });
    await t.restart();
    expect(t.hosted()).toEqual([]);
    expect(t.heard).toHaveLength(1);
  });

  it('units that failed are read, then unloaded; those without a folder go', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await t.marked('b');
    t.kill();
    await t.simulated.end('b', cancelledFile, { result: 'timeout', how: 'exited', status: 130 });
    await t.start();
    await t.hears('b: 504 the build took longer than 60 s');
    expect(t.simulated.loaded()).toEqual([]);
    await t.restart();
    expect(t.heard.at(-1)).toBe('b: 504 the build took longer than 60 s');
  });

  it('nothing is given up while systemd does not answer', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await t.marked('b');
    t.simulated.broken.answers = false;
    await t.restart();
    expect(t.hosted()).toEqual(['b RUNNING']);
    delete t.simulated.broken.answers;
    await t.simulated.end('b', ok);
    await t.hears('b: ok');
  });

  it('one that waited while systemd does not answer is started in its turn once it does', async () => {
    await using t = await setUp({ capacity: 1 });
    for (const id of ['a', 'b', 'c', 'd']) {
      await t.take(id);
      t.pass(10);
    }
    await t.running('a');
    await t.marked('a');
    t.simulated.broken.answers = false;
    await t.restart();
    void t.builds().cancel('d');
    await soon(() => access(join(t.root, 'd', 'cancel')));
    delete t.simulated.broken.answers;
    await t.hears('d: 499 cancelled');
    const known = ['a RUNNING', 'b QUEUED', 'c QUEUED', 'd FINISHED'];
    await soon(() => expect(t.hosted().toSorted()).toEqual(known));
    expect(t.simulated.started).toEqual(['a']);
    await t.simulated.end('a', ok);
    for (const _ of ['b', 'c'])
      await soon(async () => {
        const [unit = ''] = t.simulated.loaded();
        await t.simulated.end(unit, ok);
      });
    await soon(() => expect(t.heard.toSorted()).toEqual(['a: ok', 'b: ok', 'c: ok', 'd: 499 cancelled']));
  });

  it('folders that belong to no build stay unchanged', async () => {
    await using t = await setUp();
    await mkdir(join(t.root, 'dpkg', 'info'), { recursive: true });
    await mkdir(join(t.root, 'empty'));
    await t.restart();
    expect((await readdir(t.root)).toSorted()).toEqual(['dpkg', 'empty']);
    expect(t.hosted()).toEqual([]);
    await t.take('empty');
    await expect(t.take('dpkg')).rejects.toMatchObject({ code: 409 });
  });

  it('keeps unread results for a day', async () => {
    await using t = await setUp();
    await t.take('b');
    await t.running('b');
    await t.simulated.end('b', ok);
    await t.hears('b: ok');
    t.pass(keptMs - 60_000);
    await t.builds().sweep();
    await t.restart();
    expect(t.hosted()).toEqual(['b FINISHED']);
    t.pass(120_000);
    await t.builds().sweep();
    expect(await readdir(t.root)).toEqual([]);
  });

  it('at any moment, every build has one true answer, and is built at most once after it was seen to start', async () => {
    const step = fc.constantFrom('take', 'end', 'cancel', 'kill', 'turn');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async steps => {
        await using t = await setUp({ capacity: 2, maxQueued: 100 });
        const ids: string[] = [];
        for (const what of steps) {
          const last = ids.at(-1);
          if (what === 'take') {
            const id = `b${ids.length}`;
            ids.push(id);
            await t.take(id);
          } else if (what === 'kill') await t.restart();
          else if (what === 'cancel' && last !== undefined) void t.builds().cancel(last);
          else if (what === 'end') {
            const [unit] = t.simulated.loaded();
            if (unit !== undefined) await t.simulated.end(unit, ok).catch(() => {});
          } else await new Promise(resolve => setImmediate(resolve));
        }
        await t.restart();
        await soon(async () => {
          for (const unit of t.simulated.loaded()) await t.simulated.end(unit, ok).catch(() => {});
          expect(t.hosted().every(line => line.endsWith('FINISHED'))).toBe(true);
        });
        expect(
          t
            .hosted()
            .map(line => line.split(' ')[0])
            .toSorted(),
        ).toEqual(ids.toSorted());
        for (const id of ids) {
          const words = new Set(t.heard.filter(line => line.startsWith(`${id}: `)));
          expect([...words], id).toHaveLength(1);
          expect([...words][0]).toMatch(/: (ok|499 cancelled)$/);
        }
      }),
      { numRuns: 15 },
    );
  }, 120_000);
});

it.each([
  ['ENOTEMPTY', 409],
  ['EEXIST', 409],
  ['ENOSPC', 507],
  ['EDQUOT', 507],
  ['EIO', 500],
])('a work folder that cannot be created for %s is a %i', (code, expected) => {
  expect(folderRefusal(Object.assign(new Error(`${code}: x`), { code })).code).toBe(expected);
});

it.each([
  ['https://git.example/a@b/c.git', 'https://git.example/a@b/c.git'],
  ['https://user:secret@git.example/a.git', 'https://…@git.example/a.git'],
  ['https://user:sec@ret@git.example/a.git', 'https://…@git.example/a.git'],
  ['ssh://git@git.example/a.git', 'ssh://…@git.example/a.git'],
  ['git@git.example:a.git', '…@git.example:a.git'],
  ['user:secret@git.example:a.git', '…@git.example:a.git'],
  ['git.example:a.git', 'git.example:a.git'],
])('%s is logged as %s', (url, logged) => {
  expect(withoutUser(url)).toBe(logged);
});
