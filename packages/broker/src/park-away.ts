import { type Elsewhere, unknownWhere } from './elsewhere.ts';
import { commandOf, type Parking, type Refused, refuseClaim } from './park.ts';
import type { Pending } from './pending.ts';
import type { DispatchRequest } from './router.ts';

/** Parks a caller whose host has no stream here: its broker is asked, or nobody has it. */
export type ParkAway = (request: DispatchRequest) => Parking;

/**
 * What the other broker is given less, in ms: it ends first, so that an answer that comes late meets it overdue and lands
 * there, and is not on its way here to nobody.
 */
const maxMarginMs = 250;

/** @param deps.timeoutMs how long a caller waits */
export function createParkAway(deps: {
  pending: Pending;
  elsewhere: Pick<Elsewhere, 'where' | 'forward'>;
  timeoutMs: number;
}): ParkAway {
  const { pending, elsewhere, timeoutMs } = deps;
  const theirsMs = timeoutMs - Math.min(maxMarginMs, timeoutMs / 10);
  return request => {
    const { requestId, hostId, verb } = request;
    const where = elsewhere.where(hostId);
    switch (where.kind) {
      case 'nowhere':
        return { kind: 'refused', outcome: 'not connected', code: 404, message: 'host not connected' };
      case 'unknown':
        return { kind: 'refused', outcome: 'not connected', code: 503, message: unknownWhere };
      case 'elsewhere':
        break;
    }
    // It counts against this broker's cap too, and its id is taken here as well: what a lost caller, a repeated dispatch
    // or a stop find is what they find with a host of this broker.
    const carrier = { hostId };
    const claim = pending.claim({ requestId, hostId, verb: verb.name }, carrier);
    if (claim.kind !== 'claimed') return refuseClaim(claim.kind);
    const { ticket } = claim;
    const unwanted = new AbortController();
    const { promise: refusal, resolve } = Promise.withResolvers<Refused>();
    void ticket.outcome.then(() => unwanted.abort());
    void elsewhere.forward(where.route, commandOf(request), theirsMs, unwanted.signal).then(told => {
      if (told.kind === 'answered') {
        pending.answer(carrier, told.response, told.bytes);
        return;
      }
      ticket.withdraw();
      resolve(told);
    });
    return {
      kind: 'parked',
      ticket: {
        ...ticket,
        undelivered() {
          ticket.undelivered();
          // The answer is the other broker's to keep now: a repeated dispatch is led there again.
          unwanted.abort();
        },
      },
      refusal,
    };
  };
}
