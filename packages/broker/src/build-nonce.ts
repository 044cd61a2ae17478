import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** How far a host is believed that it was given a build, and when that was. */
export interface Claim {
  /** 2: this broker, or the one before it, gave it; 1: some broker may have; 0: the host names no nonce. */
  trust: 0 | 1 | 2;
  /** In ms since 1970; 0 where nothing says so. */
  givenAt: number;
}

/** The nonces of dispatches: each says to which host a request_id was given, and when (builds.proto). */
export interface Nonces {
  /** For a build that a host is given now; its claim counts for more than that of any earlier dispatch. */
  issue(requestId: string, hostId: string): { nonce: string; claim: Claim };
  /** What a host's claim to a build is worth; undefined: nothing, it is ignored. */
  judge(requestId: string, hostId: string, nonce: string): Claim | undefined;
}

export interface NonceOptions {
  /** Secret of this broker. What it signed is told from what a host has made up. */
  key: Uint8Array;
  /**
   * Whether claims that were not signed with this key count as long as nothing better is known: the key is new, or other
   * brokers, with keys of their own, give builds to the same hosts.
   */
  believesUnsigned: boolean;
  /** The clock on the wall, in ms since 1970: nonces outlive this process. */
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
      // A clock that is set back must not let an earlier dispatch win.
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

/** Whether a claim counts for more than another: of two that are equally good, the one that came first. */
export function outranks(claim: Claim, other: Claim): boolean {
  if (claim.trust !== other.trust) return claim.trust > other.trust;
  return claim.givenAt > other.givenAt;
}

/** Whether two nonces are of two dispatches; an empty one says nothing. */
export function isOtherNonce(one: string, other: string): boolean {
  return one !== '' && other !== '' && one !== other;
}
