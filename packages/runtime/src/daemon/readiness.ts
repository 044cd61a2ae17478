import type { Logger } from '../logs/logger.ts';
import { runChild } from '../processes/child.ts';

/** Reports the state of a Type=notify service to systemd. Does nothing without NOTIFY_SOCKET. The calls never reject. */
export interface Readiness {
  /** Reports that the service has started, with its status line. */
  ready(status: string): Promise<void>;
  /** Sets the status line that `systemctl status` shows. */
  status(text: string): Promise<void>;
  /** Reports that the service is stopping. */
  stopping(): Promise<void>;
}

/**
 * Reports by the `systemd-notify` program, since Node has no unix datagram sockets. The unit needs NotifyAccess=all. Calls run
 * one after the other, so that an earlier status never replaces a later one. Each call waits until systemd has read it (no
 * `--no-block`): without root, systemd finds the unit by the pid of systemd-notify, which must still be running then.
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
