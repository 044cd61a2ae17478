import { once } from 'node:events';
import { connect } from 'node:http2';
import { type Finding, fail, ok, orAborted, warn } from '@coold/runtime';
import type { BrokerUrl } from '../link/broker-url.ts';

/** The broker's answer to a request outside its protocol: it is reachable, and its clock. */
export type BrokerAnswer =
  | { kind: 'answered'; aheadMs: number | undefined }
  | { kind: 'unreachable'; why: string };

/** Tokens are accepted up to a minute before and after their time (docs/contract.md §1). */
const leewayMs = 60_000;
/** A difference below this is not told from a slow answer and the whole seconds of an HTTP date. */
const noticeMs = 5000;
const dialMs = 8000;

/** Pure. */
export function judgeBroker({ authority }: BrokerUrl, answer: BrokerAnswer): Finding {
  if (answer.kind === 'answered') return ok(`${authority} answers`);
  return fail(
    `${authority} cannot be asked: ${answer.why}`,
    'check COOLD_BROKER_URL, the way to its port, and COOLD_BROKER_CA where a certificate is named',
  );
}

/** Pure. */
export function judgeClock(answer: BrokerAnswer): Finding {
  if (answer.kind === 'unreachable') return ok('not asked: the broker does not answer');
  const { aheadMs } = answer;
  if (aheadMs === undefined)
    return warn(
      'the broker does not say what time it is',
      'upgrade the broker, or compare the clocks by hand',
    );
  if (Math.abs(aheadMs) < noticeMs)
    return ok(`the clock of this host is within ${noticeMs / 1000} s of the broker's`);
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const off = `the clock of this host is ${seconds} s ${aheadMs < 0 ? 'ahead of' : 'behind'} the broker's`;
  const cure = 'let both follow a time server: `timedatectl set-ntp true`';
  return Math.abs(aheadMs) >= leewayMs
    ? fail(`${off}: tokens and certificates are refused`, cure)
    : warn(off, cure);
}

/**
 * Connects as coold does and asks for a page that does not exist: the broker answers that without a token and without
 * counting a failed login. The date in the answer is its clock. Never rejects.
 *
 * @param ca as PEM; undefined for the system's
 */
export async function askBroker(
  { authority, host, tls }: BrokerUrl,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<BrokerAnswer> {
  const session = connect(`${tls ? 'https' : 'http'}://${authority}`, {
    ...(ca === undefined ? {} : { ca }),
    ...(tls ? { servername: /^[\d.:]+$/.test(host) ? '' : host } : {}),
  });
  const within = AbortSignal.any([signal, AbortSignal.timeout(dialMs)]);
  const broken = Promise.withResolvers<never>();
  session.on('error', broken.reject);
  try {
    const startedAt = Date.now();
    const stream = session.request({ ':method': 'GET', ':path': '/' });
    stream.on('error', broken.reject);
    const [headers] = (await orAborted(Promise.race([once(stream, 'response'), broken.promise]), within)) as [
      Record<string, unknown>,
    ];
    const now = (startedAt + Date.now()) / 2;
    const date = typeof headers['date'] === 'string' ? Date.parse(headers['date']) : Number.NaN;
    // The date has whole seconds, so half a second is added on average.
    return { kind: 'answered', aheadMs: Number.isNaN(date) ? undefined : Math.round(date + 500 - now) };
  } catch (error) {
    return { kind: 'unreachable', why: within.aborted ? `no answer within ${dialMs} ms` : reasonOf(error) };
  } finally {
    session.destroy();
  }
}

/** undici reports a cancelled request, and the reason only as its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message || error.name;
}
