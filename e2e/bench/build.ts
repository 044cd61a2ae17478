import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildUnitProperties } from '@coold/coold/build-unit';
import {
  createRepository,
  freePort,
  scratchFolder,
  startGitDaemon,
  startPodman,
  startRegistry,
} from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { bundleProgram } from '../../packaging/bundle.ts';
import { programs } from '../../packaging/programs.ts';
import { measurePush } from './build-push.ts';
import { measureRestart } from './build-restart.ts';
import { summarise } from './load.ts';
import { runBeside } from './run-beside.ts';
import type { Suite } from './suite.ts';

/** The commands, as argument vectors, that systemd runs to give a build its own network, and to remove it. */
function networkCommands(): { before: string[][]; after: string[] } {
  const requestId = 'bench';
  const name = `coolify-build-${requestId}`;
  const properties = buildUnitProperties({
    requestId,
    stack: 'static',
    workFolder: '/bench',
    network: {
      slot: 2,
      address: '240.0.0.2',
      gateway: '240.0.0.1',
      mtu: 1500,
      resolvConf: '/run/coolify/build-resolv.conf',
    },
    config: {
      bin: '/builder',
      timeoutSecs: 60,
      memoryMax: '2G',
      cpuQuota: '200%',
      diskMax: '10G',
      inodesMax: '2000000',
      cacheMax: '5G',
      denyNets: [],
    },
  });
  const plugs = properties
    .filter(property => property.startsWith('ExecStartPre=+'))
    // PID 1 of this machine is in a different network namespace from the benchmark.
    .map(each =>
      each.replace('ExecStartPre=+', '').replace('nsenter --net=/proc/1/ns/net -- ', '').split(' '),
    );
  return {
    before: [['ip', 'netns', 'add', name], ['ip', '-n', name, 'link', 'set', 'lo', 'up'], ...plugs],
    after: ['ip', 'netns', 'delete', name],
  };
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const files = 300;

/**
 * Builds a static site from a git server into an image: the packaged builder against a script that clones and builds,
 * in turns, with the same storage, server and registry.
 */
export const buildSuite: Suite = {
  name: 'build',
  summary: `a static site of ${files} files, from git to an image`,
  async run(quick) {
    const rounds = quick ? 1 : 12;
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const podman = cleanup.use(await startPodman(join(folder, 'podman')));
    const registry = cleanup.use(
      await startRegistry(podman, { folder: join(folder, 'registry'), port: await freePort() }),
    );
    const daemon = cleanup.use(
      await startGitDaemon({ folder: join(folder, 'git'), port: await freePort(), inside: podman.netnsPid }),
    );
    const url = `${daemon.url}/site`;
    const base = `${registry.address}/base:1`;
    const tiny = await podman.ensureTinyImage();
    await runBeside(podman, ['sh', '-c', 'podman tag "$0" "$1" && podman push -q "$1"', tiny, base]);
    const site = await createRepository(join(folder, 'git/site'));
    await site.commit(
      Object.fromEntries(
        Array.from({ length: files }, (_, i) => [`dist/${i % 10}/${i}.html`, `page ${i}\n`.repeat(200)]),
      ),
    );

    const builder = programs.find(({ name }) => name === 'builder');
    if (builder === undefined) throw new Error('there is no builder to bundle');
    await bundleProgram(root, builder, join(folder, 'lib'));
    const request = {
      repo_url: url,
      git_ref: 'main',
      stack: 'static',
      target_image: 'localhost/bench:ours',
      static_cfg: { base_image: base },
    };
    const containerfile = join(folder, 'Containerfile');
    await writeFile(containerfile, `FROM ${base}\nCOPY . /usr/share/nginx/html/\n`);
    const raw =
      'git clone --quiet --depth 1 "$1" "$0" && buildah bud --isolation=chroot --tag=localhost/bench:raw --file="$2" "$0/dist"';

    const { before, after } = networkCommands();
    const host = await createNetns();
    cleanup.defer(() => host.close());
    const pushes = await measurePush({
      podman,
      rounds,
      builder: join(folder, 'lib/builder.mjs'),
      folder: join(folder, 'push'),
      target: `${registry.address}/bench/pushed`,
      request,
    });
    const seen = { ours: [] as number[], raw: [] as number[], network: [] as number[] };
    for (let round = 0; round <= rounds; round += 1) {
      const work = join(folder, 'work');
      await mkdir(work);
      await writeFile(join(work, 'request.json'), JSON.stringify(request));
      const plugged = performance.now();
      for (const [program = '', ...args] of [...before, after]) await host.exec(program, args);
      const network = performance.now() - plugged;
      const [ours, bare] = [
        await runBeside(podman, [
          process.execPath,
          join(folder, 'lib/builder.mjs'),
          join(work, 'request.json'),
          work,
        ]),
        await runBeside(podman, ['sh', '-c', raw, join(folder, 'clone'), url, containerfile]),
      ];
      await rm(work, { recursive: true });
      await rm(join(folder, 'clone'), { recursive: true });
      if (round === 0) continue; // the first round warms up both
      seen.ours.push(ours + network);
      seen.network.push(network);
      seen.raw.push(bare);
    }
    const total = (times: number[]) => times.reduce((sum, ms) => sum + ms, 0);
    const [ours, bare] = [summarise(seen.ours, total(seen.ours)), summarise(seen.raw, total(seen.raw))];
    return {
      rows: [
        { subject: 'builder, as packaged, with its network', ...ours },
        { subject: 'of that, its network', ...summarise(seen.network, total(seen.network)) },
        { subject: 'git clone --depth 1 + buildah bud', ...bare },
        ...pushes.rows,
      ],
      ratios: [
        { what: 'time, builder over bare', value: ours.p50 / bare.p50, aim: 'see next' },
        {
          what: 'what the builder adds, over 10 % and 400 ms',
          value: (ours.p50 - bare.p50) / (0.1 * bare.p50 + 400),
          aim: 'at most 1',
        },
        ...pushes.ratios,
      ],
      figures: await measureRestart(),
    };
  },
};
