import { create, toBinary } from '@bufbuild/protobuf';
import { HostsAskSchema, peerHostsPath } from '@coold/proto';
import type { HostListing } from '../../builds/host-listing.ts';
import { PeerError } from '../link/peer-call.ts';
import type { PeerLink } from '../link/peer-link.ts';
import { readHeldHosts } from './held-hosts.ts';

/** How long a broker may take to list its hosts, in ms. */
const listMs = 3000;

/**
 * Asks another broker for its hosts.
 *
 * @param onPage called with the hosts of each message
 * @throws PeerError when the broker does not list all of them in time
 */
export function askHosts(
  link: Pick<PeerLink, 'stream'>,
  ids: { fromBrokerId: string; toBrokerId: string },
  onPage: (page: HostListing[]) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let isOver = false;
  const over = (error?: Error) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    if (error === undefined) resolve();
    else reject(error);
  };
  const fail = (error: Error) => {
    if (isOver) return;
    over(error);
    call.cancel();
  };
  const timer = setTimeout(
    () => fail(new PeerError('broke off', `did not answer within ${listMs} ms`)),
    listMs,
  );
  const call = link.stream(peerHostsPath, {
    message(bytes) {
      if (isOver) return;
      try {
        onPage(readHeldHosts(bytes));
      } catch {
        fail(new PeerError('refused', 'answered nothing that is known here'));
      }
    },
    ended: over,
  });
  call.write(toBinary(HostsAskSchema, create(HostsAskSchema, ids)), () => {});
  call.finish();
  return promise;
}
