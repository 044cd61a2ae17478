import { X509Certificate } from 'node:crypto';
import { isObject, parseJson } from '../unknown-values.ts';

/** The validity period of a token or a certificate, in ms since 1970. */
export interface Life {
  /** undefined: the token does not say. */
  begins: number | undefined;
  ends: number;
}

/** How long before the end a warning is due, in ms: people who renew by hand need days. */
const noticeMs = 14 * 86_400_000;

/**
 * Whether it is time to renew: 14 days before the end, or in the last quarter of a shorter period, which a program renews.
 * Pure.
 *
 * @param now in ms since 1970
 */
export function endsSoon({ begins, ends }: Life, now: number): boolean {
  const quarterMs = begins === undefined ? noticeMs : (ends - begins) / 4;
  return ends - now < Math.min(noticeMs, quarterMs);
}

/** Returns the claims of a JWT without verifying the token. undefined: its second part is not a JSON object. */
export function tokenClaims(token: string): Record<string, unknown> | undefined {
  const claims = parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  return isObject(claims) ? claims : undefined;
}

/** Returns the validity period that a JWT claims, without verifying the token. undefined where it claims none. */
export function tokenLife(token: string): Life | undefined {
  const { exp, iat } = tokenClaims(token) ?? {};
  const seconds = (value: unknown) =>
    typeof value === 'number' && Number.isFinite(value) ? value * 1000 : undefined;
  const ends = seconds(exp);
  return ends === undefined ? undefined : { begins: seconds(iat), ends };
}

/** Returns the validity period of the first certificate in a PEM text, which is the server's own in a chain. @throws Error when it is not a certificate */
export function certificateLife(pem: string): Life {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  return { begins: validFromDate.getTime(), ends: validToDate.getTime() };
}

/**
 * Returns the validity period of the CA that expires last: while a CA is being replaced, the file holds the old and the new one.
 *
 * @throws Error when the text holds no certificate
 */
export function authorityLife(pem: string): Life {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [pem];
  return texts.map(certificateLife).reduce((last, life) => (life.ends > last.ends ? life : last));
}
