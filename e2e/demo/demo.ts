import { join } from 'node:path';
import { startForge } from '../quickstart/forge.ts';
import { aborted, Interrupted, withOwnLab } from '../quickstart/own-lab.ts';
import { registryAddress, startDemoRegistry } from './beyond.ts';
import { deployment } from './deployment.ts';
import { faults } from './faults.ts';
import { countFlows } from './flows.ts';
import { makeGround } from './ground.ts';
import { createLaravel } from './laravel.ts';
import type { Stage } from './stage.ts';
import { type Counts, requestsOf } from './visits.ts';
import { startWatch } from './watch.ts';
import { pages, serviceName, type World } from './world.ts';

export interface DemoOptions {
  /** Whether to end when the story is told. */
  once: boolean;
  stage: Stage;
  stop: AbortSignal;
}

/** The result of `--once`. */
export interface DemoStory {
  status: 'ok';
  took_ms: number;
  corrosion: 'corrosion' | 'stand-in';
  steps: ({ step: string; title: string; ms: number } & Record<string, unknown>)[];
  /** All requests of the visitor. */
  visits: Counts & { requests: number };
  /** Packets that begin a connection between hosts, as counted by their kernels. */
  flows: { allowed: number; denied: number };
  /** The number of `host.events` of all hosts, by type. */
  events: Record<string, number>;
}

const chapters = [...deployment, ...faults];

/** Runs the demo. @returns the story @throws Interrupted @throws Error with a message for the user */
export async function demo({ once, stage, stop }: DemoOptions): Promise<DemoStory> {
  return await withOwnLab('demo', stop, async ({ folder, lab, cleanup, goOn }) => {
    const [forge] = await Promise.all([
      startForge(join(folder, 'git'), lab.beyond, pages).then(made => cleanup.use(made)),
      startDemoRegistry(lab.beyond, join(folder, 'registry')).then(made => cleanup.use(made)),
    ]);
    const ground = await makeGround(lab, folder, cleanup, stage.say, goOn);
    for (const { host } of ground.hosts) await countFlows(host);
    const laravel = cleanup.use(createLaravel(ground.hosts[0]));
    const watch = cleanup.use(
      startWatch({
        hosts: ground.hosts,
        asking: ground.hosts[1],
        name: serviceName,
        changed: () => stage.refresh(watch.seen()),
      }),
    );
    const world: World = {
      hosts: ground.hosts,
      laravel,
      repository: forge.url,
      registry: registryAddress(lab.beyond),
      images: {},
      visits: undefined,
      visiting(visits) {
        cleanup.use(visits);
        watch.visits(visits);
      },
    };
    stage.say('all is up; from here on Laravel does the rest, by broker.sock');
    const steps: DemoStory['steps'] = [];
    for (const [number, { step, title, run }] of chapters.entries()) {
      goOn();
      stage.step(number + 1, chapters.length, title);
      const began = performance.now();
      const facts = await unlessStopped(run(world), stop);
      steps.push({ step, title, ms: Math.round(performance.now() - began), ...facts });
    }
    const visits = world.visits?.counts() ?? { v1: 0, v2: 0, failed: 0 };
    stage.say(`all told: ${requestsOf(visits)} requests, ${chapters.length} chapters`);
    const story: DemoStory = {
      status: 'ok',
      took_ms: Math.round(performance.now()),
      corrosion: ground.corrosion,
      steps,
      visits: { requests: requestsOf(visits), ...visits },
      flows: watch.flows(),
      events: watch.eventTypes(),
    };
    if (!once) {
      stage.say('it stays up until Ctrl-C');
      await aborted(stop);
    }
    stage.say('taking everything down');
    return story;
  });
}

/** @throws Interrupted as soon as the signal fires; what the work waited for then fails by itself */
async function unlessStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  work.catch(() => {});
  const stopped = aborted(stop).then((): never => {
    throw new Interrupted();
  });
  stopped.catch(() => {});
  return await Promise.race([work, stopped]);
}
