// What the demo has observed of its hosts, as plain data from which the screen is drawn.
import type { ToldEvent } from './follow-events.ts';
import type { Counts } from './visits.ts';

export interface HostSeen {
  name: string;
  power: 'on' | 'off';
  /** Its running containers; undefined when its coold does not answer. */
  containers: readonly string[] | undefined;
  /** The facts of `coold status`; undefined when it does not answer. */
  coold: CooldSeen | undefined;
  /** The broker that has its stream, according to the brokers. */
  broker: string | undefined;
  /** During the last second. */
  flows: { allowed: number; denied: number } | undefined;
}

export interface CooldSeen {
  connected: boolean;
  wg0: boolean;
  mode: string;
  rules: number;
  /** The number of endpoints in its directory of the mesh. */
  rows: number;
  /** Addresses of hosts that are gone. */
  hostsGone: readonly string[];
  /** DNS questions during the last second. */
  questions: number;
}

export interface BrokerSeen {
  id: string;
  /** The host that it runs on. */
  on: string;
  /** Undefined when it does not answer. */
  status: { hosts: number; dispatched: number; perSecond: number; p99Ms: number | null } | undefined;
}

export interface NameSeen {
  name: string;
  /** Answered addresses, each with its host and container. */
  answers: readonly string[];
  /** Addresses that are left out, each with the reason. */
  leftOut: readonly string[];
}

export interface Seen {
  /** Time since the start, in s. */
  at: number;
  step: { number: number; of: number; title: string } | undefined;
  hosts: readonly HostSeen[];
  brokers: readonly BrokerSeen[];
  name: NameSeen | undefined;
  /** Requests per second, the latest last. */
  seconds: readonly Counts[];
  total: Counts;
  events: readonly (ToldEvent & { at: number })[];
  /** Messages of the story, each with its time in s. */
  told: readonly { at: number; text: string }[];
}
