import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import { expectExec, type Host } from './provider.ts';

/** A host as Corrosion sees it: who it is, and the address that the others gossip with. */
export interface CorrosionHost {
  host: Host;
  mgmtIp: string;
}

export interface CorrosionOptions {
  /** Schema files by name, as they are to lie under /etc/corrosion/schemas. */
  schemas: Record<string, string>;
  bearerToken?: string;
  /** Where a real `corrosion` is looked for; default this process's PATH. */
  path?: string;
}

export const corrosionApiPort = 8080;
const gossipPort = 8787;
const library = '/usr/local/lib/coold-e2e';
const configPath = '/etc/corrosion/config.toml';

/**
 * Installs and starts corrosion.service on every host of a mesh: Corrosion itself where a `corrosion` program is on this
 * machine's PATH, else the stand-in, which is started by the same command with the same configuration. A unit that is
 * already installed is kept. Resolves when every agent answers.
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

/** The text of an agent's configuration. Pure. */
export function corrosionConfig(mgmtIp: string, peers: readonly string[], bearerToken?: string): string {
  const lines = [
    '[db]',
    'path = "/var/lib/corrosion/corrosion.db"',
    'schema_paths = ["/etc/corrosion/schemas"]',
    '',
    '[gossip]',
    `addr = "${mgmtIp}:${gossipPort}"`,
    `bootstrap = ${JSON.stringify(peers.map(peer => `${peer}:${gossipPort}`))}`,
    'plaintext = true',
    '',
    '[api]',
    `addr = "127.0.0.1:${corrosionApiPort}"`,
    '',
    '[admin]',
    'path = "/run/corrosion/admin.sock"',
  ];
  if (bearerToken !== undefined)
    lines.push('', '[api.authz]', `bearer-token = ${JSON.stringify(bearerToken)}`);
  return `${lines.join('\n')}\n`;
}

// wg-quick first: the gossip address is wg0's. It may still fail to bind, in which case it is tried again.
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

/** The stand-in needs its own files and the Node that runs the harness; hosts have an older one or none. */
async function putStandIn(host: Host): Promise<void> {
  const folder = fileURLToPath(new URL('../corrosion/', import.meta.url));
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

function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(candidate => {
      try {
        accessSync(candidate, constants.X_OK);
        return statSync(candidate).isFile();
      } catch {
        return false;
      }
    });
}
