import { eventually } from './eventually.ts';
import type { Fleet } from './fleet.ts';
import type { MeshHost } from './mesh.ts';
import { expectExec } from './provider.ts';
import { setVariables } from './settings.ts';

const port = 5353;

/**
 * Starts resolvers on these hosts, to which all hosts forward names outside the zone, the first before the others. They
 * know only these names, answer NXDOMAIN below the domain of the first, and refuse the rest. Every coold is restarted
 * with them.
 *
 * @param records address by name
 * @throws HarnessError
 */
export async function startUpstreams(
  on: readonly MeshHost[],
  fleet: Fleet,
  records: Record<string, string>,
): Promise<void> {
  await Promise.all(on.map(one => runResolver(one, records)));
  const upstreams = on.map(({ mgmtIp }) => `${mgmtIp}:${port}`).join(',');
  await Promise.all(fleet.hosts.map(member => setVariables(member, { COOLD_DNS_UPSTREAM: upstreams })));
  await fleet.allConnected(30_000);
}

/** Starts the resolver of one host, which does not survive a reboot. @throws HarnessError */
export async function runResolver(on: MeshHost, records: Record<string, string>): Promise<void> {
  const names = Object.entries(records).map(([name, address]) => `--host-record=${name},${address}`);
  const domains = Object.keys(records).map(name => `--local=/${name.slice(name.indexOf('.') + 1)}/`);
  await expectExec(on.host, [
    ...([
      'systemd-run',
      '--quiet',
      '--unit',
      'e2e-upstream',
      '--property',
      'Restart=on-failure',
      '--',
    ] as const),
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'],
    ...[`--port=${port}`, `--listen-address=${on.mgmtIp}`, '--bind-dynamic', ...names, ...domains],
  ]);
  const [name = ''] = Object.keys(records);
  await eventually(
    'the upstream to answer',
    async () => {
      const argv = ['dig', '+tries=1', '+time=1', '-p', String(port), `@${on.mgmtIp}`, name] as const;
      return (await on.host.exec(argv)).code === 0 || undefined;
    },
    { timeoutMs: 15_000 },
  );
}
