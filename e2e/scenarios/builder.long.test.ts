// Builds images from git on hosts with their own systemd, as Laravel requests them.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BuildLane, GitServer } from '../harness/build-lane.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import {
  type Builders,
  createBuilders,
  exited,
  expectServed,
  failure,
  killed,
  root,
  systemctl,
  taken,
  unit,
  until,
  untilGone,
  untilSaid,
  untilStarted,
} from './builders.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

/** Rented machines take minutes; the lab takes seconds. */
const setUpMs = 15 * 60_000;
const scenarioMs = 5 * 60_000;

let provider: Provider;
let fleet: Fleet;
let lane: BuildLane;
let baseImage: string;
let git: GitServer;
let a: FleetHost;
let b: FleetHost;
let c: FleetHost;
let site: Builders['site'];
let slow: Builders['slow'];
let expectBuilt: Builders['expectBuilt'];

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  ({ fleet, lane, git, baseImage, a, b, c, site, slow, expectBuilt } = await createBuilders(ground));
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));
afterEach(() => git.letGo());

/** Removes a result; then nothing of the build stays. */
async function expectRemoved(id: string, on: FleetHost): Promise<void> {
  expect(await lane.remove(id)).toBe(204);
  await untilGone(id, on);
}

test(
  'builder_lifecycle',
  async () => {
    // Without a host in the request, the broker picks the one with the most free places.
    expect(await lane.dispatch('first', site('first'))).toEqual(taken('first'));
    await expectBuilt('first', b);
    await expectServed('first', b);

    await git.hold();
    expect(await lane.dispatch('second', site('second'), 'b')).toEqual(taken('second'));
    await untilStarted('second', b);
    const listed = await expectExec(b.host, [
      ...(['find', `${root}/second`, '-maxdepth', '1', '-printf', '%m %U %P\\n'] as const),
    ]);
    const modes = Object.fromEntries(
      listed
        .trim()
        .split('\n')
        .map(line => [line.split(' ')[2], line.slice(0, 5)]),
    );
    expect(modes).toMatchObject({ '': '700 0', 'request.json': '600 0', 'events.ndjson': '600 0' });
    const shown = `\n${await systemctl(b, 'show', unit('second'))}`;
    for (const property of [
      ...['RuntimeMaxUSec=30min', 'MemoryMax=2147483648', 'CPUQuotaPerSecUSec=2s', 'PrivateTmp=yes'],
      ...['ProtectSystem=strict', 'ProtectHome=yes', 'NoNewPrivileges=yes', 'LockPersonality=yes'],
      ...['RestrictRealtime=yes', 'SystemCallArchitectures=native', 'CollectMode=inactive'],
      `ReadWritePaths=${root}/second /var/lib/containers -/run/containers -/run/netavark -/run/lock`,
    ])
      expect(shown).toContain(`\n${property}\n`);
    expect(await lane.dispatch('second', site('second'), 'b')).toMatchObject({ status: 409 });

    // coold restarts during the build.
    const pid = await systemctl(b, 'show', '--property', 'MainPID', '--value', unit('second'));
    await systemctl(b, 'restart', 'coold.service');
    await fleet.allConnected(30_000);
    expect(await systemctl(b, 'show', '--property', 'MainPID', '--value', unit('second'))).toBe(pid);
    const events = lane.events('second');
    await git.letGo();
    await expectBuilt('second', b);
    const frames = await events;
    expect(frames.map(({ stage }) => stage)).toContain('buildah');
    expect(frames.at(-1)).toMatchObject({ type: 'result', ok: { stack_used: 'static' } });
    await expectServed('second', b);
  },
  scenarioMs,
);

test(
  'a host that cannot build gets no builds, and an impossible build is refused by name',
  async () => {
    const noBuilder = { status: 503, body: { message: 'host has no builder capability', stage: 'dispatch' } };
    expect(await lane.dispatch('x', site('x'), 'a')).toMatchObject(noBuilder);
    expect(await lane.dispatch('x', site('x'), 'nobody')).toMatchObject(noBuilder);
    const bad = { ...site('bad'), repo_url: 'ext::sh -c true' };
    await lane.dispatch('bad', bad, 'b');
    expect(await lane.result('bad')).toMatchObject({
      body: { status: 'error', code: 400, stage: 'dispatch', field: 'repo_url' },
    });
    expect((await b.host.exec(['ls', '-A', root])).stdout).toBe('');
    await lane.dispatch('nothere', { ...site('nothere'), git_ref: 'nothere' }, 'b');
    expect(await lane.result('nothere')).toMatchObject({ body: { code: 422, stage: 'git' } });
    await expectRemoved('nothere', b);
  },
  scenarioMs,
);

describe('a cancel', () => {
  test(
    'ends a build whose git server hangs',
    async () => {
      await git.hold();
      await lane.dispatch('cut', site('cut'), 'b');
      await untilStarted('cut', b);
      expect(await lane.cancel('cut')).toBe(204);
      // A second cancel, or one that is too late.
      expect([204, 404]).toContain(await lane.cancel('cut'));
      expect(await lane.result('cut')).toEqual(failure('cut', 499, 'cancelled', 'cancel'));
      await expectRemoved('cut', b);
      expect(await lane.cancel('cut')).toBe(404);
    },
    scenarioMs,
  );

  test(
    'ends a build in buildah and a waiting one, and has no effect after the end',
    async () => {
      await lane.dispatch('run', slow('run'), 'c');
      await lane.dispatch('wait', slow('wait'), 'c');
      await untilSaid('wait', c, 'place 1 of 1 in the queue');
      expect(await lane.cancel('wait')).toBe(204);
      expect(await lane.result('wait')).toEqual(failure('wait', 499, 'cancelled', 'cancel'));
      await expectRemoved('wait', c);
      await untilSaid('run', c, 'STEP 2/3');
      expect(await lane.cancel('run')).toBe(204);
      expect(await lane.result('run')).toEqual(failure('run', 499, 'cancelled', 'cancel'));
      await expectRemoved('run', c);
      await lane.dispatch('over', site('over'), 'b');
      await until('the result', b.host, 'test -e "$1"', `${root}/over/result.json`);
      await lane.cancel('over');
      await expectBuilt('over', b);
    },
    scenarioMs,
  );
});

describe('a limit', () => {
  test(
    'of time that is exceeded is a 504',
    async () => {
      await git.hold();
      await lane.dispatch('late', site('late'), 'c');
      expect(await lane.result('late')).toEqual(
        failure('late', 504, expect.stringContaining('20 s'), 'timeout'),
      );
      await expectRemoved('late', c);
    },
    scenarioMs,
  );

  test(
    'of memory that is exceeded is named',
    async () => {
      await git.repository('greedy', {
        Dockerfile: `FROM ${baseImage}\nRUN sleep 2 && dd if=/dev/zero of=/dev/null bs=900M count=1\n`,
      });
      const greedy = (id: string) => ({ ...slow(id), repo_url: `${git.url}/greedy` });
      await lane.dispatch('greedy', greedy('greedy'), 'c');
      await lane.dispatch('greedier', greedy('greedier'), 'b');
      await untilSaid('greedy', c, 'STEP 2/2');
      // The kernel's own limit, in cgroups of either version.
      const limit =
        'cd /sys/fs/cgroup && g=$(systemctl show --property ControlGroup --value "$1") && cat ".$g/memory.max" "memory/$g/memory.limit_in_bytes" 2>/dev/null; true';
      expect((await expectExec(c.host, ['sh', '-c', limit, 'sh', unit('greedy')])).trim()).toBe(
        String(400 << 20),
      );
      const answer = await lane.result('greedy');
      expect(answer.body).toMatchObject({
        status: 'error',
        message: expect.stringContaining('MemoryMax=400M'),
      });
      await expectRemoved('greedy', c);
      // With more memory, the same step succeeds.
      await expectBuilt('greedier', b);
    },
    scenarioMs,
  );
});

test(
  'a build cannot write to its host, and cannot reach the loopback or the mesh',
  async () => {
    await git.repository('mount', {
      Dockerfile: `FROM ${baseImage}\nRUN touch /etc/from-a-build && grep -c . /proc/self/mountinfo\n`,
    });
    await lane.dispatch('inside', { ...slow('inside'), repo_url: `${git.url}/mount` }, 'b');
    await expectBuilt('inside', b);
    await expect(b.host.get('/etc/from-a-build')).rejects.toThrow();
    const reach = async (name: string, address: string) => {
      await git.repository(name, { Dockerfile: `FROM ${baseImage}\nADD http://${address}:6443/x /x\n` });
      await lane.dispatch(name, { ...slow(name), repo_url: `${git.url}/${name}` }, 'b');
      expect((await lane.result(name)).body).toMatchObject({
        status: 'error',
        stage: 'buildah',
        message: expect.stringMatching(/not permitted|timeout/),
      });
    };
    await Promise.all([reach('loopback', '127.0.0.1'), reach('mesh', a.mgmtIp)]);
  },
  scenarioMs,
);

describe('SIGKILL', () => {
  test.each(['queue', 'git', 'buildah'])(
    'of coold while a build is in %s changes nothing for it',
    async stage => {
      const id = `coold-${stage}`;
      await git.hold();
      if (stage === 'queue') {
        // Two builds fill the places.
        await lane.dispatch('full-1', site('full-1'), 'b');
        await lane.dispatch('full-2', site('full-2'), 'b');
        await untilStarted('full-2', b);
      }
      if (stage === 'buildah') await git.letGo();
      await lane.dispatch(id, stage === 'buildah' ? slow(id) : site(id), 'b');
      if (stage === 'queue') await untilSaid(id, b, 'place 1 of 1');
      else await untilStarted(id, b);
      if (stage === 'buildah') await untilSaid(id, b, 'STEP 2/3');
      await killed(b, 'coold.service');
      await git.letGo();
      await fleet.allConnected(30_000);
      await expectBuilt(id, b);
      if (stage !== 'queue') return;
      await expectBuilt('full-1', b);
      await expectBuilt('full-2', b);
    },
    scenarioMs,
  );

  test(
    'of a builder is a 500, once',
    async () => {
      await git.hold();
      await lane.dispatch('shot', site('shot'), 'b');
      await untilStarted('shot', b);
      await systemctl(b, 'kill', '--signal=SIGKILL', unit('shot'));
      expect(await lane.result('shot')).toEqual(exited('shot'));
      await expectRemoved('shot', b);
      expect(await lane.result('shot')).toMatchObject({ status: 404 });
      // A kill in buildah leaves a working container, which the next build removes.
      await git.letGo();
      await lane.dispatch('step', slow('step'), 'b');
      await untilSaid('step', b, 'STEP 2/3');
      await systemctl(b, 'kill', '--signal=SIGKILL', unit('step'));
      expect(await lane.result('step')).toMatchObject({ body: { code: 500 } });
      expect(await expectExec(b.host, ['buildah', 'containers', '--quiet'])).not.toBe('');
      await lane.dispatch('after', site('after'), 'b');
      await untilStarted('after', b);
      const progress = await lane.events('after');
      await expectBuilt('after', b);
      const left = await expectExec(b.host, ['buildah', 'containers', '--quiet']);
      expect(left, JSON.stringify(progress)).toBe('');
    },
    scenarioMs,
  );

  test(
    'of the broker loses no build',
    async () => {
      await git.hold();
      for (const id of ['kept-1', 'kept-2', 'kept-3']) await lane.dispatch(id, site(id), 'b');
      await untilStarted('kept-1', b);
      await killed(a, 'broker.service');
      await git.letGo();
      await fleet.allConnected(90_000);
      for (const id of ['kept-1', 'kept-2', 'kept-3']) await expectBuilt(id, b);
    },
    scenarioMs,
  );

  test(
    'of coold, builder and broker at once is a 500, once',
    async () => {
      await git.hold();
      await lane.dispatch('all', site('all'), 'b');
      await untilStarted('all', b);
      await Promise.all([
        killed(b, 'coold.service'),
        systemctl(b, 'kill', '--signal=SIGKILL', unit('all')),
        killed(a, 'broker.service'),
      ]);
      await fleet.allConnected(90_000);
      expect(await lane.result('all')).toEqual(exited('all'));
      await expectRemoved('all', b);
      expect(await lane.result('all')).toMatchObject({ status: 404 });
    },
    scenarioMs,
  );
});

test(
  'a host that loses its power during a build reports it once, while the other continues',
  async () => {
    await git.hold();
    await lane.dispatch('lost', site('lost'), 'b');
    await lane.dispatch('lives', site('lives'), 'c');
    await untilStarted('lost', b);
    await untilStarted('lives', c);
    await b.host.crash();
    await git.letGo();
    await expectBuilt('lives', c);
    await b.host.boot();
    await fleet.allConnected(90_000);
    expect(await lane.result('lost')).toEqual(exited('lost'));
    await expectRemoved('lost', b);
    expect(await lane.result('lost')).toMatchObject({ status: 404 });
  },
  scenarioMs,
);

test(
  'a build that an orderly reboot ends is a 500, once',
  async () => {
    await git.hold();
    await lane.dispatch('rebooted', site('rebooted'), 'b');
    await untilStarted('rebooted', b);
    await b.host.reboot();
    await fleet.allConnected(90_000);
    expect((await lane.result('rebooted')).body).toMatchObject({
      status: 'error',
      code: 500,
      stage: 'builder',
    });
    await expectRemoved('rebooted', b);
    expect(await lane.result('rebooted')).toMatchObject({ status: 404 });
  },
  scenarioMs,
);

test(
  'a full disk is a 507, and builds work again once there is space',
  async () => {
    const full =
      'mkdir -p "$1" && mount -t tmpfs -o size=64k,mode=700 full "$1" && (cat /dev/zero >"$1/filling" 2>/dev/null; true)';
    // coold reads the mounts only when it starts.
    const restarted = async () => {
      await systemctl(b, 'restart', 'coold.service');
      await fleet.allConnected(60_000);
    };
    await expectExec(b.host, ['sh', '-c', full, 'sh', root]);
    await restarted();
    await lane.dispatch('full', site('full'), 'b');
    expect((await lane.result('full')).body).toMatchObject({ status: 'error', code: 507 });
    await expectExec(b.host, ['umount', root]);
    await restarted();
    await lane.dispatch('room', site('room'), 'b');
    await expectBuilt('room', b);
  },
  scenarioMs,
);
