import { runChild } from './child.ts';
import type { Logger } from './logger.ts';

/** What systemd is told of a Type=notify service; does nothing when no supervisor listens. */
export interface Readiness {
  ready(status: string): Promise<void>;
  /** The one line that `systemctl status` shows. */
  status(text: string): Promise<void>;
  stopping(): Promise<void>;
}

/**
 * Through the `systemd-notify` program, since Node has no unix datagram sockets; the unit needs NotifyAccess=all. Calls
 * are sent one after the other, so that a later status never loses to an earlier one. Each stays until systemd has read it
 * (no `--no-block`): unless we are root, systemd finds the unit by the pid of systemd-notify, which must still live then.
 */
export function createReadiness(log: Logger, env: NodeJS.ProcessEnv = process.env): Readiness {
  let last = Promise.resolve();
  const notify = (...args: string[]) => {
    if (env['NOTIFY_SOCKET'] === undefined) return last;
    last = last.then(async () => {
      try {
        const { code, stderr } = await runChild('systemd-notify', args, { timeoutMs: 5000, env });
        if (code !== 0) log.warn({ code, stderr }, 'systemd-notify failed; systemd keeps the state it knew');
      } catch (error) {
        log.warn({ err: error }, 'systemd-notify did not run; systemd keeps the state it knew');
      }
    });
    return last;
  };
  const line = (text: string) => `--status=${text.replaceAll(/\s+/g, ' ')}`;
  return {
    ready: status => notify('--ready', line(status)),
    status: text => notify(line(text)),
    stopping: () => notify('STOPPING=1'),
  };
}
