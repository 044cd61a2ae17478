import { HarnessError, type Host } from './provider.ts';

/**
 * Returns the state at the end of a boot: "running", or "degraded" when a unit has failed. Returns undefined while
 * systemd takes no requests yet; ask again then.
 *
 * @throws HarnessError when the boot ended elsewhere, for example in an emergency shell
 */
export async function bootedState(
  host: Pick<Host, 'name' | 'exec'>,
  timeoutMs: number,
): Promise<'running' | 'degraded' | undefined> {
  const { stdout } = await host.exec(['systemctl', 'is-system-running', '--wait'], { timeoutMs });
  const state = stdout.trim();
  if (state === 'running' || state === 'degraded') return state;
  // Between binding its socket and listening on it systemd refuses callers, and systemctl prints nothing or "offline".
  if (state === '' || state === 'offline') return undefined;
  throw new HarnessError(`host ${host.name} booted to "${state}"`);
}
