import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import { Gauge, type Registry } from 'prom-client';

const states = {
  queued: HostedBuild_State.QUEUED,
  running: HostedBuild_State.RUNNING,
  finished: HostedBuild_State.FINISHED,
};

/** What Prometheus reads of the builds of this host; counted when it asks. */
export function watchBuilds(registry: Registry, hosted: () => readonly HostedBuild[]): void {
  new Gauge({
    name: 'coold_builds',
    help: 'Builds of this host: queued, running, and finished with a result that nobody has read',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const builds = hosted();
      for (const [name, state] of Object.entries(states))
        this.set({ state: name }, builds.filter(build => build.state === state).length);
    },
  });
}
