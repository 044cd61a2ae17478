import type { Corrosion } from '@coold/corrosion';
import type { Logger } from '@coold/runtime';
import type { KnownSenders } from '../link/peer-sender.ts';
import type { RouteTable } from '../routes/route-table.ts';
import { createBrokerLives } from './broker-lives.ts';
import { followHeartbeats } from './follow-heartbeats.ts';
import { createHeartbeatWriter } from './heartbeat-writer.ts';
import { brokersToHear, listOthers, type OtherBroker } from './other-brokers.ts';
import { createPeerPlaces, type PeerPlace } from './peer-places.ts';

/** The brokers beside this one, from heartbeats, routes and what they said here, and this broker's own heartbeat. */
export interface Membership {
  /** Whether a broker's heartbeat has stood still for too long. False for a broker without a heartbeat. */
  isDead(brokerId: string): boolean;
  /** Returns the other brokers, those that are dead first. */
  others(): OtherBroker[];
  /** Returns the brokers that are asked for revoked tokens. */
  toHear(): Iterable<PeerPlace>;
  /** Notes that a broker has spoken here. */
  heard(peer: PeerPlace): void;
  /** The brokers that Corrosion knows, for checks of a sender's certificate. */
  senders: KnownSenders;
  /** Returns how long ago this broker's heartbeat was written, in ms. undefined: the schema has no such table. */
  heartbeatAgeMs(): number | undefined;
  /** Follows the heartbeats of others and writes this broker's own until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** From now on the removal of this broker's rows is no news: it removes them itself. */
  leave(): void;
  /** Removes this broker's heartbeat, and writes no more. @throws CorrosionError */
  withdraw(signal: AbortSignal): Promise<void>;
}

export interface MembershipOptions {
  corrosion: Corrosion;
  brokerId: string;
  /** Where the others dial this broker, `host:port`. */
  address: string;
  /** After how long without a heartbeat a broker is dead, in ms. */
  ttlMs: number;
  routed: Pick<RouteTable, 'brokers' | 'broker'>;
  /** Called when others took this broker for dead and removed its rows. */
  onRemoved(): void;
  log: Logger;
  /** For what concerns the tables in Corrosion. */
  tableLog: Logger;
}

export function createMembership(options: MembershipOptions): Membership {
  const { corrosion, brokerId, address, ttlMs, routed, onRemoved, log, tableLog } = options;
  const lives = createBrokerLives({
    ownId: brokerId,
    ttlMs,
    now: () => performance.now(),
    died: dead =>
      log.warn(
        {
          broker_id: dead.brokerId,
          address: dead.address,
          still_ms: Math.round(dead.stillMs),
          routes: routed.broker(dead.brokerId)?.routes ?? 0,
        },
        'a broker is dead: its heartbeat has stopped; its routes are ignored until it is back',
      ),
    revived: back =>
      log.info({ broker_id: back.brokerId, address: back.address }, 'a broker that was dead is back'),
  });
  const places = createPeerPlaces();
  const writer = createHeartbeatWriter({
    corrosion,
    lives,
    brokerId,
    address,
    ttlMs,
    clock: Date.now,
    log: tableLog,
  });
  let isLeaving = false;
  const follower = followHeartbeats(corrosion, lives, {
    ownId: brokerId,
    onRemoved() {
      if (isLeaving) return;
      log.warn({}, 'other brokers took this one for dead and removed its rows; they are written again');
      writer.beatNow();
      onRemoved();
    },
    log: tableLog,
  });
  const known = () => ({
    ownId: brokerId,
    lives: lives.list(),
    routed: routed.brokers(),
    heard: places.list(),
  });

  return {
    isDead: lives.isDead,
    others: () => listOthers(known()),
    toHear: () => brokersToHear(known()),
    heard: places.heard,
    senders: {
      *ids() {
        for (const broker of lives.list()) yield broker.brokerId;
        for (const broker of routed.brokers()) yield broker.brokerId;
      },
      addressOf: id =>
        lives.list().find(broker => broker.brokerId === id)?.address ?? routed.broker(id)?.address,
    },
    heartbeatAgeMs: writer.ageMs,
    run: async signal => void (await Promise.all([follower.run(signal), writer.run(signal)])),
    leave() {
      isLeaving = true;
    },
    withdraw: writer.withdraw,
  };
}
