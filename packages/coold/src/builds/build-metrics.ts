import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

const states = {
  queued: HostedBuild_State.QUEUED,
  running: HostedBuild_State.RUNNING,
  finished: HostedBuild_State.FINISHED,
};

/** Registers the gauge `coold_builds`. Builds are counted at each scrape. */
export function watchBuilds(registry: Registry, hosted: () => readonly HostedBuild[]): void {
  const help = 'Builds of this host: queued, running, and finished with a result that is kept';
  scrapedMetrics(registry).gauges('coold_builds', help, 'state', () => {
    const builds = hosted();
    return Object.entries(states).map(([name, state]) => [
      name,
      builds.filter(build => build.state === state).length,
    ]);
  });
}
