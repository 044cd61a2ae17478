import type { Corrosion } from '@coold/corrosion';
import { errorMessage, type Logger } from '@coold/runtime';
import type { BrokerLives, KnownBroker } from './broker-lives.ts';
import { removeDead } from './heartbeat.ts';

export interface DeadBrokerRemovalOptions {
  corrosion: Pick<Corrosion, 'execute'>;
  lives: Pick<BrokerLives, 'list'>;
  /** The id of this broker. */
  brokerId: string;
  ttlMs: number;
  /** After how many times `ttlMs` since its death the rows of a broker are removed: it does not come back soon. */
  ttlsUntilRemoval?: number;
  log: Logger;
}

/** Ten minutes at the default of BROKER_ROUTES_TTL. */
const defaultTtlsUntilRemoval = 15;

/**
 * Returns a function that removes some rows of one broker that has been dead for long, if there is one. It is called after each
 * heartbeat: a broker that had 10,000 hosts is removed within minutes, and the agent is not held up.
 */
export function createDeadBrokerRemoval(
  options: DeadBrokerRemovalOptions,
): (signal: AbortSignal) => Promise<void> {
  const { corrosion, lives, brokerId, ttlMs, log } = options;
  const { ttlsUntilRemoval = defaultTtlsUntilRemoval } = options;
  /** The broker, with its last beat, whose removal was logged. */
  let logged: string | undefined;

  return async signal => {
    const others = lives.list();
    const afterMs = ttlMs * (ttlsUntilRemoval + turnOf(brokerId, others));
    const dead = others.find(({ isDead, stillMs }) => isDead && stillMs >= ttlMs + afterMs);
    if (dead === undefined) return;
    const key = `${dead.brokerId} ${dead.beat}`;
    const line = { broker_id: dead.brokerId, address: dead.address };
    try {
      await corrosion.execute(removeDead(dead), signal);
      if (logged !== key) log.info(line, 'rows of a broker that has been dead for long are removed');
      logged = key;
    } catch (error) {
      if (signal.aborted) return;
      // The next heartbeat tries again, or another broker does.
      log.debug({ ...line, why: errorMessage(error) }, 'rows of a dead broker could not be removed');
    }
  };
}

/** Returns how many living brokers remove rows before this one. They take turns in the order of their ids. */
function turnOf(brokerId: string, others: readonly KnownBroker[]): number {
  return others.filter(other => !other.isDead && other.brokerId < brokerId).length;
}
