import { endsSoon, type Life } from '@coold/runtime';
import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** Credentials of this host's coold that expire. */
export type Credential = 'token' | 'broker_ca' | 'api_certificate';

/** When each of them expires, as far as is known. */
export interface CredentialEnds {
  /** Records a lifetime; undefined when the credential is gone or names no end. */
  know(credential: Credential, life: Life | undefined): void;
  /** Returns those that have to be renewed now, the first to expire first. */
  ending(): { credential: Credential; ends_at: string }[];
  all(): Iterable<[Credential, Life]>;
}

export function createCredentialEnds(now: () => number = Date.now): CredentialEnds {
  const lives = new Map<Credential, Life>();
  return {
    know(credential, life) {
      if (life === undefined) lives.delete(credential);
      else lives.set(credential, life);
    },
    ending: () =>
      [...lives]
        .filter(([, life]) => endsSoon(life, now()))
        .sort(([, a], [, b]) => a.ends - b.ends)
        .map(([credential, { ends }]) => ({ credential, ends_at: new Date(ends).toISOString() })),
    all: () => lives,
  };
}

/** Registers the metric of how long each is still valid. */
export function watchCredentialEnds(
  registry: Registry,
  ends: CredentialEnds,
  now: () => number = Date.now,
): void {
  const { gauges } = scrapedMetrics(registry);
  const each = (name: string, help: string, read: (life: Life) => number) =>
    gauges(name, help, 'credential', () =>
      Array.from(ends.all(), ([credential, life]) => [credential, read(life)] as const),
    );
  each(
    'coold_credential_left_seconds',
    "How long the host's token, the broker's CA and the API certificate are still good; below 0: not any more",
    life => (life.ends - now()) / 1000,
  );
  each(
    'coold_credential_to_renew',
    '1: it is time to renew it, 14 days ahead or in the last quarter of a shorter life; 0: it is not',
    life => (endsSoon(life, now()) ? 1 : 0),
  );
}
