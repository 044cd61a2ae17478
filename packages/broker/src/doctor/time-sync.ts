import { type Finding, ok, runChild, warn } from '@coold/runtime';

const timeoutMs = 5000;

/** Whether systemd reports that the clock follows a time server. @throws ChildError when it cannot be asked */
export async function readTimeSync(signal: AbortSignal): Promise<string> {
  const args = ['show', '--property=NTPSynchronized', '--value'];
  const { stdout } = await runChild('timedatectl', args, { timeoutMs, signal });
  return stdout.trim();
}

/** Judges the broker's clock, which hosts compare theirs with. Pure. */
export function judgeTimeSync(said: string): Finding {
  return said === 'yes'
    ? ok('the clock follows a time server')
    : warn(
        'the clock follows no time server: tokens of hosts whose clocks are a minute off are refused',
        '`timedatectl set-ntp true`, or chrony',
      );
}
