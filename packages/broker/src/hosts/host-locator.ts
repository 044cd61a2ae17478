import { failure } from '@coold/errors';
import type { Response, ServerMsg } from '@coold/proto';
import type { Fleet } from '../builds/host-listing.ts';
import type { RemoteBuilds } from '../builds/remote-builds.ts';
import type { Refused } from '../dispatch/send-to-host.ts';
import type { HostPlace, Route } from '../peers/routes/route.ts';
import type { HostLocation } from '../peers/routes/route-table.ts';
import type { StreamCarrier } from './hosts.ts';

/** The outcome of a command that another broker was asked to send. */
export type Forwarded = { kind: 'answered'; response: Response; bytes: number } | Refused;

/** Finds and reaches the hosts that are connected to other brokers. For a broker alone there are none. */
export interface HostLocator {
  /** Returns the broker that has a host without a stream here. */
  locate(hostId: string): HostLocation;
  /**
   * Asks the broker that has the host to send a command, once. Never rejects.
   *
   * @param timeoutMs how long that broker waits for its host, in ms
   * @param signal aborts when no caller waits for the answer any more
   */
  forward(route: Route, command: ServerMsg, timeoutMs: number, signal: AbortSignal): Promise<Forwarded>;
  /** Returns the channel for one streamed command to a host of another broker. */
  carrier(place: HostPlace): StreamCarrier;
  builds: RemoteBuilds;
  /** Returns the hosts of all brokers that answer. Never rejects. */
  fleet(): Promise<Fleet>;
}

/** The refusal until the routes have been read once: a host without a stream here may be connected to another broker. */
export const hostPlaceUnknown = failure(
  'host_place_unknown',
  'host not connected here, and Corrosion has not yet said where it is',
);
