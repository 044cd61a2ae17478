import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, findProgram } from '@coold/testbed';
import { putStandIn } from './corrosion.ts';
import { eventually } from './eventually.ts';
import { builtAssets } from './product.ts';
import { expectExec, type Host } from './provider.ts';

/** The site from which hosts of `coolify init` download. */
const site = 'github.com';
const root = '/srv/releases';
const authority = '/usr/local/share/ca-certificates/coold-e2e.crt';

/**
 * Serves release assets from a host under the names and addresses that `coolify init` requests from GitHub, and makes
 * the other hosts trust it: lab hosts reach nothing else.
 */
export interface ReleaseServer {
  /** Publishes a release: coold, builder, broker, scheduler and Corrosion of that version. */
  publish(version: string): Promise<void>;
  /** Makes a host download from this server. */
  lead(host: Host): Promise<void>;
}

/** @throws HarnessError */
export async function createReleaseServer(server: Host): Promise<ReleaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'coold-release-'));
  try {
    const { issue } = await createAuthority(folder);
    const { credentials } = await issue('releases', { addresses: `DNS:${site}` });
    await server.put(credentials.cert, '/srv/releases.crt', 0o644);
    await server.put(credentials.key, '/srv/releases.key', 0o600);
    await expectExec(server, ['install', '-d', root]);
    await expectExec(server, [
      ...(['systemd-run', '--quiet', '--unit=releases', `--working-directory=${root}`, '--'] as const),
      ...['openssl', 's_server', '-accept', '443', '-cert', '/srv/releases.crt', '-key', '/srv/releases.key'],
      ...['-WWW', '-quiet'],
    ]);
    await eventually(
      'the releases to be served',
      async () =>
        (await server.exec(['bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/443'])).code === 0 ? true : undefined,
      { timeoutMs: 20_000 },
    );
    return {
      publish: version => publish(server, version),
      lead: host => lead(host, server.address, credentials.ca),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function publish(server: Host, version: string): Promise<void> {
  const machine = (await expectExec(server, ['uname', '-m'])).trim();
  const architecture = machine === 'aarch64' ? 'arm64' : 'amd64';
  const built = await builtAssets();
  const place = await folderOf(server, 'coold', version);
  for (const name of ['coold', 'builder', 'broker', 'scheduler']) {
    const asset = `${name}-linux-${architecture}.tar.gz`;
    await server.put({ file: join(built, asset) }, `${place}/${asset}`, 0o644);
  }
  const real = findProgram('corrosion', process.env['PATH'] ?? '');
  if (real === undefined) await putStandIn(server);
  else await server.put({ file: real }, '/usr/local/bin/corrosion', 0o755);
  const corrosion = `${await folderOf(server, 'corrosion', version)}/corrosion-${machine}-unknown-linux-gnu.tar.gz`;
  await expectExec(server, ['tar', '-czf', corrosion, '-C', '/usr/local/bin', 'corrosion'], {
    timeoutMs: 120_000,
  });
}

/** Returns the folder for a version's assets, which follows from their address. */
async function folderOf(server: Host, repository: string, version: string): Promise<string> {
  const path = `${root}/coollabsio/${repository}/releases/download/${version}`;
  await expectExec(server, ['install', '-d', path]);
  return path;
}

async function lead(host: Host, address: string, ca: string): Promise<void> {
  // The files of the stand-in; the program that starts it is downloaded like the others.
  await putStandIn(host);
  await expectExec(host, ['rm', '/usr/local/bin/corrosion']);
  await host.put(ca, authority, 0o644);
  await expectExec(host, ['update-ca-certificates'], { timeoutMs: 120_000 });
  const hosts = (await host.get('/etc/hosts')).toString();
  await host.put(`${hosts}${address} ${site}\n`, '/etc/hosts', 0o644);
}
