import type { Heartbeat } from './heartbeat.ts';

/** Another broker that has a heartbeat. */
export interface KnownBroker extends Heartbeat {
  isDead: boolean;
  /** How long its heartbeat had been unchanged when it was last compared, in ms. */
  stillMs: number;
}

/**
 * Which other brokers are alive: those whose heartbeat changes. Time is measured with this broker's own monotonic
 * clock, and only while its own heartbeat comes back to it through the same subscription: a broker that receives
 * nothing, or was suspended itself, takes no other for dead because of that.
 */
export interface BrokerLives {
  /** A load begins. Earlier knowledge counts until `finish`. */
  begin(): void;
  load(heartbeat: Heartbeat): void;
  finish(): void;
  /** Records a changed row. */
  put(heartbeat: Heartbeat): void;
  remove(brokerId: string): void;
  /** False for a broker without a heartbeat: it is of an older version, and its routes count as they are. */
  isDead(brokerId: string): boolean;
  /** Returns the other brokers with a heartbeat. */
  list(): KnownBroker[];
}

export interface BrokerLivesOptions {
  ownId: string;
  /** How long a broker's heartbeat may stay unchanged, in ms. */
  ttlMs: number;
  /** The most rows that are kept, because any host can write rows. */
  max?: number;
  /** The monotonic clock, in ms. */
  now(): number;
  died(broker: KnownBroker): void;
  revived(broker: Heartbeat): void;
}

interface Life extends Heartbeat {
  movedAt: number;
  isDead: boolean;
}

const defaultMax = 1000;

export function createBrokerLives(options: BrokerLivesOptions): BrokerLives {
  const { ownId, ttlMs, max = defaultMax, now, died, revived } = options;
  let lives = new Map<string, Life>();
  let loading = new Map<string, Life>();
  /** When this broker's own heartbeat last came back. */
  let heardAt: number | undefined;

  const known = ({ brokerId, address, beat, movedAt, isDead }: Life): KnownBroker => ({
    brokerId,
    address,
    beat,
    isDead,
    stillMs: Math.max(0, (heardAt ?? movedAt) - movedAt),
  });

  function hearOwn(): void {
    const at = now();
    // A gap: nothing was reported, or this process was suspended. The others' heartbeats may still be on their way.
    const isHole = heardAt === undefined || at - heardAt > ttlMs / 2;
    heardAt = at;
    for (const life of lives.values()) {
      // A broker that was dead before stays dead until its heartbeat changes, but the time of its death is counted
      // anew.
      if (isHole) life.movedAt = life.isDead ? at - ttlMs : at;
      if (life.isDead || at - life.movedAt < ttlMs) continue;
      life.isDead = true;
      died(known(life));
    }
  }

  function set(into: Map<string, Life>, { brokerId, address, beat }: Heartbeat): void {
    const before = lives.get(brokerId);
    if (before === undefined && into.size >= max) return;
    const hasMoved = before?.beat !== beat;
    const isDead = !hasMoved && before?.isDead === true;
    const movedAt = hasMoved ? now() : (before?.movedAt ?? now());
    into.set(brokerId, { brokerId, address, beat, movedAt, isDead });
    if (before?.isDead === true && !isDead) revived({ brokerId, address, beat });
  }

  return {
    begin() {
      loading = new Map();
    },
    load(heartbeat) {
      if (heartbeat.brokerId !== ownId) set(loading, heartbeat);
    },
    finish() {
      lives = loading;
      loading = new Map();
    },
    put(heartbeat) {
      if (heartbeat.brokerId === ownId) hearOwn();
      else set(lives, heartbeat);
    },
    remove: brokerId => void lives.delete(brokerId),
    isDead: brokerId => lives.get(brokerId)?.isDead === true,
    list: () => [...lives.values()].map(known),
  };
}
