import { HarnessError, type Host } from './provider.ts';

/**
 * Waits for the end of the boot that is under way: "running", or "degraded" when a unit has failed. undefined when
 * systemd does not take requests yet, which is to be asked again.
 *
 * @throws HarnessError when the boot ended elsewhere, as in an emergency shell
 */
export async function bootedState(
  host: Pick<Host, 'name' | 'exec'>,
  timeoutMs: number,
): Promise<'running' | 'degraded' | undefined> {
  const { stdout } = await host.exec(['systemctl', 'is-system-running', '--wait'], { timeoutMs });
  const state = stdout.trim();
  if (state === 'running' || state === 'degraded') return state;
  // Between binding its socket and listening on it systemd refuses callers, who then say nothing or "offline".
  if (state === '' || state === 'offline') return undefined;
  throw new HarnessError(`host ${host.name} booted to "${state}"`);
}
