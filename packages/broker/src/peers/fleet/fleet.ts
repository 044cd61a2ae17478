import { errorMessage } from '@coold/runtime';
import { type Fleet, type FleetBroker, type HostListing, maxFleetHosts } from '../../builds/host-listing.ts';
import { PeerError } from '../link/peer-call.ts';
import type { PeerLinks } from '../link/peer-links.ts';
import type { OtherBroker } from '../membership/other-brokers.ts';
import { askHosts } from './ask-hosts.ts';

export interface FleetDeps {
  /** The id of this broker. */
  brokerId: string;
  /** Where the others dial this broker, `host:port`. */
  address: string;
  /** Returns the hosts of this broker. */
  list(): readonly HostListing[];
  others(): readonly OtherBroker[];
  links: Pick<PeerLinks, 'to'>;
}

/** Returns a function that asks all brokers for their hosts at the same time. Calls at the same time share one answer. */
export function createFleet(deps: FleetDeps): () => Promise<Fleet> {
  let underWay: Promise<Fleet> | undefined;
  return () => {
    underWay ??= readFleet(deps).finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

async function readFleet(deps: FleetDeps): Promise<Fleet> {
  const { brokerId, address, list, others } = deps;
  const ownHosts = list();
  const hosts = new FleetHosts();
  hosts.add(brokerId, ownHosts);
  const own: FleetBroker = {
    broker_id: brokerId,
    address,
    state: 'here',
    hosts: ownHosts.length,
    error: null,
  };
  const brokers = [own, ...(await Promise.all(others().map(other => askBroker(other, deps, hosts))))];
  const complete = !hosts.isCut && brokers.every(({ state }) => state !== 'silent' && state !== 'old');
  return { hosts: hosts.list, brokers, complete };
}

/** The hosts of all brokers, as far as there is room. */
class FleetHosts {
  readonly list: Fleet['hosts'] = [];
  /** Whether hosts were left out, because there are too many. */
  isCut = false;

  add(brokerId: string, hosts: readonly HostListing[]): void {
    const room = maxFleetHosts - this.list.length;
    if (room < hosts.length) this.isCut = true;
    for (const host of hosts.slice(0, room)) this.list.push({ ...host, broker_id: brokerId });
  }
}

/** Asks a broker for its hosts and adds them. @returns how that ended */
async function askBroker(
  { brokerId, address, routes, isDead, stillMs = 0 }: OtherBroker,
  { brokerId: ownId, links }: FleetDeps,
  hosts: FleetHosts,
): Promise<FleetBroker> {
  const broker = { broker_id: brokerId, address, hosts: routes };
  if (isDead) {
    const error = `its heartbeat has not changed for ${Math.round(stillMs / 1000)} s`;
    return { ...broker, state: 'dead', error };
  }
  let taken = 0;
  try {
    const link = links.to({ brokerId, address });
    await askHosts(link, { fromBrokerId: ownId, toBrokerId: brokerId }, page => {
      taken += page.length;
      hosts.add(brokerId, page);
    });
    return { ...broker, state: 'answered', hosts: taken, error: null };
  } catch (error) {
    const isOld = error instanceof PeerError && error.isUnimplemented;
    return { ...broker, state: isOld ? 'old' : 'silent', error: errorMessage(error) };
  }
}
