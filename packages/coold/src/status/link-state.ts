import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** The state of the files that a stream is opened with. */
export interface CredentialState {
  /** Why they are not usable. */
  problem: string | undefined;
}

/** The current state of the stream to the broker. */
export interface LinkState {
  /** Called by the link at every change, with one line for people. */
  changed(line: string, connected: boolean): void;
  /** Called after each read of the files. */
  looked(credentials: CredentialState): void;
  now(): { connected: boolean; line: string; since: Date; credentials: CredentialState };
}

/** The line before the first dial. */
export const notDialled = 'not dialled yet';

export function createLinkState(clock: () => Date = () => new Date()): LinkState {
  let state = { connected: false, line: notDialled, since: clock() };
  let credentials: CredentialState = { problem: undefined };
  return {
    changed(line, connected) {
      // The time of the connection or its loss, not of each attempt.
      const since = connected === state.connected ? state.since : clock();
      state = { connected, line, since };
    },
    looked({ problem }) {
      credentials = { problem };
    },
    now: () => ({ ...state, credentials }),
  };
}

/** Registers the metrics of the link. */
export function watchLink(registry: Registry, link: LinkState): void {
  const { gauge } = scrapedMetrics(registry);
  gauge(
    'coold_link_connected',
    '1: this host has a stream to the broker; 0: the broker is being dialled',
    () => (link.now().connected ? 1 : 0),
  );
  gauge(
    'coold_link_credentials_usable',
    "1: the host's token and the broker's CA are usable; 0: they are not, and coold status says why",
    () => (link.now().credentials.problem === undefined ? 1 : 0),
  );
}
