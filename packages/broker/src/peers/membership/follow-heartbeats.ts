import {
  type Corrosion,
  type KeptSubscription,
  keepSubscription,
  type SubscriptionOptions,
} from '@coold/corrosion';
import { errorMessage, type Logger } from '@coold/runtime';
import type { BrokerLives } from './broker-lives.ts';
import { everyHeartbeat, type Heartbeat, heartbeatColumns, readHeartbeat } from './heartbeat.ts';

export interface FollowHeartbeatsOptions extends Pick<SubscriptionOptions, 'backoff' | 'absentMs'> {
  ownId: string;
  /** Called when others have removed this broker's rows, because they took it for dead. */
  onRemoved(): void;
  log: Logger;
  /** The shortest interval between two calls of `onRemoved`, in ms. */
  removedEveryMs?: number;
}

/**
 * All removed rows of a broker are written again, perhaps ten thousand, and any host can remove its heartbeat. Removals
 * within this interval are repaired by the next heartbeat, and routes by their next check.
 */
const defaultRemovedEveryMs = 10_000;

/**
 * Fills `lives` from Corrosion. A row that cannot be parsed is left out, and its broker counts as one without a
 * heartbeat.
 */
export function followHeartbeats(
  corrosion: Corrosion,
  lives: BrokerLives,
  { ownId, onRemoved, log, removedEveryMs = defaultRemovedEveryMs, ...rest }: FollowHeartbeatsOptions,
): Pick<KeptSubscription, 'run'> {
  let isSaid = false;
  let removedAt = Number.NEGATIVE_INFINITY;
  const tellRemoved = () => {
    const now = performance.now();
    if (now - removedAt < removedEveryMs) return;
    removedAt = now;
    onRemoved();
  };
  const read = (values: readonly unknown[]): Heartbeat | undefined => {
    try {
      return readHeartbeat(values);
    } catch (error) {
      // Once per load, because a program that writes such rows may write thousands.
      log[isSaid ? 'debug' : 'warn']({ why: errorMessage(error) }, 'a heartbeat is left out');
      isSaid = true;
      return undefined;
    }
  };
  return keepSubscription(corrosion, {
    name: 'broker_heartbeats',
    statement: everyHeartbeat,
    columns: heartbeatColumns,
    optional:
      'without it, the routes of a broker that is gone for good stay, and their hosts are answered 503',
    reader: {
      begin() {
        isSaid = false;
        lives.begin();
      },
      row(values) {
        const heartbeat = read(values);
        if (heartbeat !== undefined) lives.load(heartbeat);
      },
      finish: lives.finish,
      change(kind, values) {
        const [brokerId] = values;
        const heartbeat = kind === 'delete' ? undefined : read(values);
        if (heartbeat !== undefined) lives.put(heartbeat);
        else if (brokerId === ownId) tellRemoved();
        else if (typeof brokerId === 'string') lives.remove(brokerId);
      },
      connected() {},
      resubscribing() {},
    },
    log,
    ...rest,
  });
}
