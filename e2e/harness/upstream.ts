import { eventually } from './eventually.ts';
import type { Fleet } from './fleet.ts';
import type { MeshHost } from './mesh.ts';
import { expectExec } from './provider.ts';

const port = 5353;
const settings = '/etc/coolify/coold.env';

/**
 * A resolver on one host that all the others hand names outside the zone on to: it knows these and nothing else, says NXDOMAIN
 * below the domain of the first and refuses the rest. Every coold is restarted with it.
 *
 * @param records address by name
 * @throws HarnessError
 */
export async function startUpstream(
  on: MeshHost,
  fleet: Fleet,
  records: Record<string, string>,
): Promise<void> {
  const names = Object.entries(records).map(([name, address]) => `--host-record=${name},${address}`);
  const domains = Object.keys(records).map(name => `--local=/${name.slice(name.indexOf('.') + 1)}/`);
  await expectExec(on.host, [
    ...(['systemd-run', '--quiet', '--unit', 'e2e-upstream', '--'] as const),
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'],
    ...[`--port=${port}`, `--listen-address=${on.mgmtIp}`, '--bind-interfaces', ...names, ...domains],
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
  await Promise.all(
    fleet.hosts.map(async ({ host }) => {
      const before = (await host.get(settings)).toString();
      await host.put(`${before}COOLD_DNS_UPSTREAM=${on.mgmtIp}:${port}\n`, settings, 0o600);
      await expectExec(host, ['systemctl', 'restart', 'coold.service']);
    }),
  );
  await fleet.allConnected(30_000);
}
