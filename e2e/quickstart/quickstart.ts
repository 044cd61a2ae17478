import { chmod, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../harness/eventually.ts';
import { expectExec } from '../harness/provider.ts';
import { quoted } from './curl.ts';
import { startForge } from './forge.ts';
import { type QuickHost, startHost } from './host.ts';
import { aborted, withOwnLab } from './own-lab.ts';
import { apiPort } from './settings.ts';
import { dispatch, idler, once, type Scene, site } from './story/calls.ts';
import { type Lane, openLane } from './story/lane.ts';
import { runStory } from './story/run-story.ts';
import type { Command, Step } from './story/step.ts';
import { countVisits, tellStory, versions } from './story/story.ts';
import { fieldOf } from './story/wanted.ts';
import { narrate, say, show } from './terminal.ts';
import { playground, thingsToTry } from './things-to-try.ts';
import { warningsOf } from './warnings.ts';

export interface QuickstartOptions {
  /** Whether it ends when the story is over. */
  once: boolean;
  stop: AbortSignal;
}

/** The longest socket path that the kernel accepts, in bytes. */
const longestSocketPath = 107;

/** @returns the exit code @throws Interrupted @throws Error with a message for the user */
export async function quickstart({ once: isOnce, stop }: QuickstartOptions): Promise<number> {
  return await withOwnLab('quickstart', stop, async ({ folder, lab, cleanup, goOn }) => {
    const [host, forge] = await Promise.all([
      startHost(lab, say, goOn),
      startForge(join(folder, 'git'), lab.beyond, versions).then(made => cleanup.use(made)),
    ]);
    goOn();
    const socketPath = await linkSocket(folder, host);
    const lane = cleanup.use(openLane(socketPath));
    await connected(lane, host.id);
    const scene: Scene = {
      hostId: host.id,
      repository: forge.url,
      baseImage: host.baseImage,
      ...placeOf(host),
    };
    say("up; from here on as Laravel does it, by HTTP over the broker's socket:");

    const telling = await runStory(tellStory(scene), lane, narrate(socketPath), goOn);
    const warnings = await warningsOf(host.host);
    for (const warning of warnings) say(`a program warned: ${warning}`);
    const visits = telling.output === undefined ? undefined : countVisits(telling.output);
    const list = telling.told.flatMap(({ calls }) => calls).find(({ body }) => isList(body));
    const story = {
      // The answer to Laravel's last call, the list of running containers, beside the steps that led to it.
      ...(list?.answer as object),
      took_ms: Math.round(performance.now()),
      corrosion: host.corrosion,
      visits,
      warnings,
      steps: telling.told,
    };
    show();
    say(
      `all told: of ${visits?.requests ?? 0} requests while version 1 became version 2, ${visits?.failed ?? 0} failed`,
    );
    if (isOnce) process.stdout.write(`${JSON.stringify(story)}\n`);
    else await stay({ folder, host, scene, lane, socketPath, repositoryPath: forge.path, stop });
    say('taking everything down');
    return 0;
  });
}

function isList(body: object | undefined): boolean {
  return fieldOf(fieldOf(body, 'command'), 'type') === 'list_containers';
}

/** Links the broker's socket to a path that a reader can type. */
async function linkSocket(folder: string, { socketPath }: QuickHost): Promise<string> {
  const link = join(folder, 'broker.sock');
  await symlink(socketPath, link);
  return Buffer.byteLength(link) > longestSocketPath ? socketPath : link;
}

async function connected(lane: Lane, hostId: string): Promise<void> {
  await eventually(
    'coold to be connected to the broker',
    async () => {
      const { body } = await lane.call({ method: 'GET', path: '/v1/streams' });
      return (Array.isArray(body) && body.some(stream => fieldOf(stream, 'host_id') === hostId)) || undefined;
    },
    { timeoutMs: 30_000 },
  );
}

function placeOf({ member }: QuickHost): { network: string; prefix: string } {
  const { network = '', subnet = '' } = member.namespaces['default'] ?? {};
  return { network, prefix: subnet.replace(/\.0\/24$/, '') };
}

/** Starts two containers to play with, prints what can be tried, and waits for the end. */
async function stay({
  folder,
  host,
  scene,
  lane,
  socketPath,
  repositoryPath,
  stop,
}: {
  folder: string;
  host: QuickHost;
  scene: Scene;
  lane: Lane;
  socketPath: string;
  repositoryPath: string;
  stop: AbortSignal;
}): Promise<void> {
  const onHost = join(folder, 'on-host');
  await writeFile(onHost, `#!/bin/sh\nexec ${host.host.enter().map(quoted).join(' ')} TERM="$TERM" "$@"\n`);
  await chmod(onHost, 0o755);
  await runStory([playgroundOf(scene)], lane, narrate(socketPath), () => {});
  for (const program of ['coold', 'broker'] as const) await green(host, program);
  const things = thingsToTry({
    scene,
    socketPath,
    onHost,
    repositoryPath,
    api: `${host.member.mgmtIp}:${apiPort}`,
  });
  const standIn =
    host.corrosion === 'stand-in' ? ' (a stand-in; a corrosion on your PATH would take its place)' : '';
  show();
  say('it stays up until Ctrl-C, and nothing of your machine is touched. On its host run: the default deny,');
  say(`DNS, REST, the builder, the broker and Corrosion${standIn}.`);
  say('Try these in another terminal, or the lines above again, in their order:');
  for (const [number, { title, command }] of things.entries()) {
    show();
    say(`${number + 1}. ${title}`);
    show(command);
  }
  show();
  say(`${quoted(onHost)} runs any other command on the host.`);
  say('up');
  await aborted(stop);
}

/**
 * Waits until status reports no problem; a program that was just busy may report one for a while.
 *
 * @throws HarnessError with the problems
 */
async function green({ host }: QuickHost, program: 'coold' | 'broker'): Promise<void> {
  await eventually(
    `${program} status to be green`,
    async () => ((await host.exec([program, 'status'])).code === 0 ? true : undefined),
    { timeoutMs: 60_000, everyMs: 500 },
  ).catch(() => expectExec(host, [program, 'status']));
}

function playgroundOf(scene: Scene): Step {
  const at = (name: keyof typeof playground) => `${scene.prefix}.${playground[name]}`;
  let calls = 0;
  const call = (command: Command) => {
    calls += 1;
    return once(dispatch(scene, `ground-${calls}`, command));
  };
  return {
    title: 'two containers for you: shop, which serves version 2, and guest, which does not reach it',
    acts: [
      call(site(scene, 'shop', 'localhost/quickstart/web:v2', at('shop'))),
      call(idler(scene, 'guest', at('guest'))),
      call({ type: 'containers.start', id: 'shop' }),
      call({ type: 'containers.start', id: 'guest' }),
      call({ type: 'containers.healthcheck', id: 'shop' }),
    ],
  };
}
