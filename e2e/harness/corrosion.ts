import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { corrosionConfig, findProgram } from '@coold/testbed';
import { eventually } from './eventually.ts';
import { expectExec, type Host } from './provider.ts';

/** A host in Corrosion's cluster, and its gossip address. */
export interface CorrosionHost {
  host: Host;
  mgmtIp: string;
}

export interface CorrosionOptions {
  /** Schema files by name, for /etc/corrosion/schemas. */
  schemas: Record<string, string>;
  bearerToken?: string;
  /** Where a real `corrosion` is searched. Default: this process's PATH. */
  path?: string;
}

export const corrosionApiPort = 8080;
const library = '/usr/local/lib/coold-e2e';
const configPath = '/etc/corrosion/config.toml';

/**
 * Installs and starts corrosion.service on every host of a mesh: Corrosion itself when a `corrosion` program is on this
 * machine's PATH, else the stand-in, which takes the same command and configuration. An installed unit is kept.
 * Resolves when every agent answers.
 */
export async function installCorrosion(
  hosts: readonly CorrosionHost[],
  options: CorrosionOptions,
): Promise<'corrosion' | 'stand-in'> {
  const real = findProgram('corrosion', options.path ?? process.env['PATH'] ?? '');
  await Promise.all(
    hosts.map(async ({ host, mgmtIp }) => {
      if (real === undefined) await putStandIn(host);
      else await host.put({ file: real }, '/usr/local/bin/corrosion', 0o755);
      for (const [name, sql] of Object.entries(options.schemas))
        await host.put(sql, `/etc/corrosion/schemas/${name}`, 0o644);
      const peers = hosts.filter(other => other.mgmtIp !== mgmtIp).map(other => other.mgmtIp);
      await host.put(corrosionConfig(mgmtIp, peers, options.bearerToken), configPath, 0o600);
      if ((await host.exec(['systemctl', 'cat', 'corrosion.service'])).code !== 0) {
        await host.put(unit, '/etc/systemd/system/corrosion.service', 0o644);
        await expectExec(host, ['systemctl', 'daemon-reload']);
      }
      await expectExec(host, ['systemctl', 'enable', '--quiet', 'corrosion.service']);
      await expectExec(host, ['systemctl', 'restart', 'corrosion.service']);
    }),
  );
  await Promise.all(hosts.map(({ host }) => answers(host)));
  return real === undefined ? 'stand-in' : 'corrosion';
}

// After wg-quick, because the gossip address is wg0's. Binding may still fail, and is tried again.
const unit = `[Unit]
Description=Corrosion
After=network-online.target wg-quick@wg0.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/corrosion agent --config ${configPath}
Restart=on-failure
RestartSec=1
RuntimeDirectory=corrosion
StateDirectory=corrosion

[Install]
WantedBy=multi-user.target
`;

/** The stand-in needs its own files and the harness's Node; hosts have an older Node or none. */
export async function putStandIn(host: Host): Promise<void> {
  const folder = fileURLToPath(new URL('../../packages/testbed/src/corrosion/', import.meta.url));
  const files = readdirSync(folder).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  for (const name of files)
    await host.put({ file: join(folder, name) }, `${library}/corrosion/${name}`, 0o644);
  await host.put('{ "type": "module" }\n', `${library}/corrosion/package.json`, 0o644);
  await host.put({ file: process.execPath }, `${library}/node`, 0o755);
  const start = `#!/bin/sh\nexec ${library}/node --disable-warning=ExperimentalWarning ${library}/corrosion/main.ts "$@"\n`;
  await host.put(start, '/usr/local/bin/corrosion', 0o755);
}

async function answers(host: Host): Promise<void> {
  await eventually(
    `corrosion on ${host.name} to answer`,
    async () => {
      const probe = await host.exec(['bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${corrosionApiPort}`]);
      return probe.code === 0 ? true : undefined;
    },
    { timeoutMs: 20_000 },
  );
}
