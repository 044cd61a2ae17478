import { Gauge, type Registry } from 'prom-client';

/** The stream to the broker as it is now. */
export interface LinkState {
  /** Told by the link whenever that changes; one line for people. */
  changed(line: string, connected: boolean): void;
  now(): { connected: boolean; line: string; since: Date };
}

export function createLinkState(clock: () => Date = () => new Date()): LinkState {
  let state = { connected: false, line: 'not dialled yet', since: clock() };
  return {
    changed(line, connected) {
      // Its time is that of the connection or its loss, not of each attempt.
      const since = connected === state.connected ? state.since : clock();
      state = { connected, line, since };
    },
    now: () => state,
  };
}

/** Adds what there is to say of the link. */
export function watchLink(registry: Registry, link: LinkState): void {
  new Gauge({
    name: 'coold_link_connected',
    help: '1: the broker has this host; 0: it is dialled',
    registers: [registry],
    collect() {
      this.set(link.now().connected ? 1 : 0);
    },
  });
}
