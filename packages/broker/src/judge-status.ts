import type { BrokerStatus } from './status.ts';

/** A day's notice would be too late for a certificate that people renew. */
const certificateNoticeMs = 14 * 86_400_000;
/** Of the cap: from here on callers are about to be refused. */
const fullShare = 0.8;

/** What is wrong with a broker, one sentence each; empty: it is healthy. Pure. */
export function judgeStatus(status: BrokerStatus, now: Date): string[] {
  const problems: string[] = [];
  const { hosts, pending, builds, streamed_commands: streamed, tls } = status;
  if (hosts === 0) problems.push('no host is connected');
  const held = pending.waiting + pending.landed + streamed + builds.waiting + builds.landed;
  if (held >= pending.max * fullShare)
    problems.push(`${held} of at most ${pending.max} dispatches, streams and builds are under way`);
  if (pending.overdue > 0)
    problems.push(`${pending.overdue} dispatches of the last minutes are without an answer`);
  if (tls !== null) problems.push(...judgeCertificate('the TLS certificate', tls.not_after, now));
  // A broker not yet restarted after an update says nothing of it.
  if (status.peers != null) {
    if (!status.peers.followed) problems.push('Corrosion does not tell where the hosts of other brokers are');
    problems.push(
      ...judgeCertificate('the certificate that other brokers are shown', status.peers.not_after, now),
    );
  }
  return problems;
}

function judgeCertificate(what: string, notAfter: string, now: Date): string[] {
  const leftMs = Date.parse(notAfter) - now.getTime();
  if (leftMs <= 0) return [`${what} ended at ${notAfter}`];
  return leftMs < certificateNoticeMs ? [`${what} ends in ${Math.floor(leftMs / 86_400_000)} days`] : [];
}
