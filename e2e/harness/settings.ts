import type { MeshHost } from './mesh.ts';
import { expectExec } from './provider.ts';

const path = '/etc/coolify/coold.env';

/** Sets variables in a host's coold.env, replacing earlier values, and restarts coold. @throws HarnessError */
export async function setVariables({ host }: MeshHost, variables: Record<string, string>): Promise<void> {
  const before = (await host.get(path)).toString().split('\n');
  const kept = before.filter(line => line !== '' && !Object.hasOwn(variables, line.split('=')[0] ?? ''));
  const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  await host.put([...kept, ...set, ''].join('\n'), path, 0o600);
  await expectExec(host, ['systemctl', 'restart', 'coold.service']);
}
