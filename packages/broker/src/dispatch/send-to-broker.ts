import { hostNotConnected } from '@coold/errors';
import { type HostLocator, hostPlaceUnknown } from '../hosts/host-locator.ts';
import type { DispatchRequest } from '../hosts/router.ts';
import type { Pending } from './pending.ts';
import { commandOf, type Refused, refuseClaim, type SentDispatch } from './send-to-host.ts';

/** Asks the broker that has the host to send a command, and returns the ticket of the parked request that waits for it. */
export type SendToBroker = (request: DispatchRequest) => SentDispatch;

/**
 * How much earlier than here the wait ends at the other broker, in ms. An answer that comes too late then lands there,
 * where a repeated dispatch finds it, instead of being sent here when no caller waits any more.
 */
const maxMarginMs = 250;

/** @param deps.timeoutMs how long a caller waits for a command that has no deadline of its own, in ms */
export function createSendToBroker(deps: {
  pending: Pending;
  locator: Pick<HostLocator, 'locate' | 'forward'>;
  timeoutMs: number;
}): SendToBroker {
  const { pending, locator, timeoutMs } = deps;
  return request => {
    const { requestId, hostId, verb, message } = request;
    const location = locator.locate(hostId);
    switch (location.kind) {
      case 'nowhere':
        return { kind: 'refused', outcome: 'not connected', ...hostNotConnected(hostId) };
      case 'unknown':
        return { kind: 'refused', outcome: 'not connected', ...hostPlaceUnknown };
      case 'other broker':
        break;
    }
    // The dispatch counts against this broker's cap, and its id is claimed here, too: a lost caller, a repeated dispatch
    // and a stop are then handled as for a host of this broker.
    const carrier = { hostId };
    const ownMs = verb.deadline?.ofRequest(message);
    const waitMs = Math.max(timeoutMs, ownMs ?? 0);
    const theirsMs = waitMs - Math.min(maxMarginMs, waitMs / 10);
    const claim = pending.claim({ requestId, hostId, verb: verb.name }, carrier, { ownMs });
    if (claim.kind !== 'claimed') return refuseClaim(claim.kind);
    const { ticket } = claim;
    const unwanted = new AbortController();
    const { promise: refusal, resolve } = Promise.withResolvers<Refused>();
    ticket.whenSettled(() => unwanted.abort());
    void locator.forward(location.route, commandOf(request), theirsMs, unwanted.signal).then(told => {
      if (told.kind === 'answered') {
        pending.answer(carrier, told.response, told.bytes);
        return;
      }
      ticket.withdraw();
      resolve(told);
    });
    return {
      kind: 'sent',
      ticket: {
        whenSettled: listen => ticket.whenSettled(listen),
        get outcome() {
          return ticket.outcome;
        },
        delivered: () => ticket.delivered(),
        withdraw: () => ticket.withdraw(),
        undelivered() {
          ticket.undelivered();
          // The other broker keeps the answer now: a repeated dispatch is forwarded to it again.
          unwanted.abort();
        },
      },
      refusal,
    };
  };
}
