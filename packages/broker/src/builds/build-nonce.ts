import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** How certain it is that a host was given a build, and when that was. */
export interface Claim {
  /** 2: this broker or its predecessor gave it; 1: some broker may have; 0: the host names no nonce. */
  trust: 0 | 1 | 2;
  /** In ms since 1970; 0 when unknown. */
  givenAt: number;
}

/** The nonces of dispatches: each says which host was given a request_id, and when (builds.proto). */
export interface Nonces {
  /** Returns the nonce for a build that is given to a host now. Its claim outranks that of any earlier dispatch. */
  issue(requestId: string, hostId: string): { nonce: string; claim: Claim };
  /** Judges a host's claim to a build; undefined when it has none and is ignored. */
  judge(requestId: string, hostId: string, nonce: string): Claim | undefined;
}

export interface NonceOptions {
  /** This broker's secret. It tells what the broker signed from what a host has made up. */
  key: Uint8Array;
  /**
   * Whether unsigned claims count while nothing better is known: the key is new, or other brokers with their own keys
   * give builds to the same hosts.
   */
  believesUnsigned: boolean;
  /** The wall clock, in ms since 1970, because nonces outlive this process. */
  now?: () => number;
}

/** `<time>-<random>-<signature>`; the time in base 36, in ms since 1970. */
const pattern = /^([0-9a-z]{1,10})-([0-9a-f]{16})-([A-Za-z0-9_-]{22})$/;
const signatureBytes = 16;

export function createNonces({ key, believesUnsigned, now = Date.now }: NonceOptions): Nonces {
  let last = 0;
  const sign = (head: string, requestId: string, hostId: string) =>
    createHmac('sha256', key)
      .update([head, requestId, hostId].join('\0'))
      .digest()
      .subarray(0, signatureBytes);
  return {
    issue(requestId, hostId) {
      // A clock that was set back must not let an earlier dispatch win.
      last = Math.max(last + 1, now());
      const head = `${last.toString(36)}-${randomBytes(8).toString('hex')}`;
      const nonce = `${head}-${sign(head, requestId, hostId).toString('base64url')}`;
      return { nonce, claim: { trust: 2, givenAt: last } };
    },
    judge(requestId, hostId, nonce) {
      const [, time = '', random = '', signature = ''] = pattern.exec(nonce) ?? [];
      if (time !== '') {
        const givenAt = Number.parseInt(time, 36);
        const expected = sign(`${time}-${random}`, requestId, hostId);
        if (timingSafeEqual(expected, Buffer.from(signature, 'base64url'))) return { trust: 2, givenAt };
        return believesUnsigned ? { trust: 1, givenAt } : undefined;
      }
      return nonce === '' && believesUnsigned ? { trust: 0, givenAt: 0 } : undefined;
    },
  };
}

/** Whether a claim outranks another. Of two equal ones, the first wins. */
export function outranks(claim: Claim, other: Claim): boolean {
  if (claim.trust !== other.trust) return claim.trust > other.trust;
  return claim.givenAt > other.givenAt;
}

/** Whether two nonces belong to different dispatches. An empty one says nothing. */
export function isOtherNonce(one: string, other: string): boolean {
  return one !== '' && other !== '' && one !== other;
}
