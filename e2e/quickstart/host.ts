import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKeys, mintToken } from '@coold/broker/token';
import { corrosionConfig, findProgram } from '@coold/testbed';
import { corrosionApiPort } from '../harness/corrosion.ts';
import { loadBusyboxImage } from '../harness/images.ts';
import type { LabHost } from '../harness/lab/host.ts';
import type { Lab } from '../harness/lab/lab.ts';
import { joinMesh, type MeshHost } from '../harness/mesh.ts';
import { type PlannedHost, planMesh } from '../harness/mesh-plan.ts';
import { expectExec, HarnessError } from '../harness/provider.ts';
import { bundlePrograms } from './bundles.ts';
import { settingsFiles } from './settings.ts';

/** The one host of the quickstart, which is Laravel's machine and runs the apps. */
export interface QuickHost {
  /** Its id at the broker. */
  id: string;
  member: MeshHost;
  host: LabHost;
  /** The path of the broker's socket on this machine. */
  socketPath: string;
  /** An image that serves /usr/share/nginx/html. */
  baseImage: string;
  corrosion: 'corrosion' | 'stand-in';
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const hostId = 'quickstart';
const namespace = 'default';
/** The path of this checkout on the host: its units cannot see /root and /home. */
const checkout = '/usr/local/lib/coold/checkout';
const baseImage = 'localhost/quickstart/httpd:latest';
/** The folder where static builds put a site. */
const served = '/usr/share/nginx/html';

const units = [
  'corrosion.service',
  'podman.socket',
  'coolify-mesh-fw.service',
  'coolify-mesh-allow.service',
  'broker.service',
  'coold.service',
];
/**
 * Additions to the host's units, so that one command starts them all in order. Otherwise coold would find no broker and
 * no Corrosion, report that for a second and retry.
 */
const dropIns = {
  'coold.service': '[Unit]\nAfter=broker.service\n',
  'corrosion.service': `[Service]\nExecStartPost=bash -c 'until : 3<>/dev/tcp/127.0.0.1/${corrosionApiPort}; do sleep 0.05; done 2>/dev/null'\n`,
};

/**
 * Boots a lab host and sets it up as docs/guide/install.md says, with the programs of this checkout.
 *
 * @param say called with each step in a few words
 * @param goOn throws when the user has interrupted
 * @throws HarnessError
 */
export async function startHost(lab: Lab, say: (what: string) => void, goOn: () => void): Promise<QuickHost> {
  const bundling = bundlePrograms(root);
  bundling.catch(() => {}); // awaited below
  say('boot a host of namespaces: its own systemd, network, Podman and disk');
  const [host] = await lab.up([{ name: hostId, share: root }]);
  if (host === undefined) throw new HarnessError('a lab without a host');
  goOn();
  say('set up its mesh (WireGuard, a Podman network) and the programs of this checkout');
  const [plan] = planMesh([hostId], [namespace]).hosts;
  if (plan === undefined) throw new HarnessError('a mesh without a host');
  const [[member], corrosion] = await Promise.all([
    joinMesh([host], [namespace]),
    bundling.then(bundles => install(host, plan, bundles, lab.beyond.address)),
  ]);
  if (member === undefined) throw new HarnessError('a mesh without a host');
  goOn();
  const agent = corrosion === 'corrosion' ? 'Corrosion' : 'a stand-in for Corrosion';
  say(`start the default deny, ${agent}, the broker and coold; make an image to build on`);
  await expectExec(host, ['systemctl', 'daemon-reload']);
  await Promise.all([
    expectExec(host, ['systemctl', 'start', ...units]),
    loadBusyboxImage(host, { name: baseImage, command: ['httpd', '-f', '-p', '80', '-h', served] }),
  ]);
  return {
    id: hostId,
    member,
    host,
    baseImage,
    corrosion,
    socketPath: `${host.root()}/run/coolify/broker.sock`,
  };
}

/** Writes the host's files and makes the checkout visible to its units. @returns which Corrosion is used */
async function install(
  host: LabHost,
  plan: PlannedHost,
  bundles: string,
  gitServer: string,
): Promise<QuickHost['corrosion']> {
  await expectExec(host, ['mkdir', '-p', checkout]);
  await expectExec(host, ['mount', '--bind', root, checkout]);
  const at = (path: string) => join(host.root(), path);
  const put = async (path: string, text: string, mode = 0o644) => {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), text, { mode });
  };
  const node = below(process.execPath);
  const launcher = (...words: string[]) => `#!/bin/sh\nexec ${node} ${words.join(' ')} "$@"\n`;
  for (const program of ['broker', 'builder', 'coold'])
    await put(`/usr/local/bin/${program}`, launcher(below(join(bundles, `${program}.mjs`))), 0o755);
  const real = findProgram('corrosion', process.env['PATH'] ?? '');
  if (real === undefined) {
    const main = launcher('--disable-warning=ExperimentalWarning', below(join(bundles, 'corrosion.mjs')));
    await put('/usr/local/bin/corrosion', main, 0o755);
  } else await copyFile(real, at('/usr/local/bin/corrosion'));
  await put('/etc/corrosion/config.toml', corrosionConfig(plan.mgmtIp, []), 0o600);

  const copy = async (from: string, suffix: string, to: string, mode: number) => {
    await mkdir(at(to), { recursive: true });
    const names = (await readdir(join(root, from))).filter(name => name.endsWith(suffix));
    for (const name of names) {
      await copyFile(join(root, from, name), at(join(to, name)));
      await chmod(at(join(to, name)), mode);
    }
  };
  await copy('systemd', '.service', '/usr/local/lib/systemd/system', 0o644);
  await copy('systemd', '.sh', '/usr/local/lib/coold', 0o755);
  await copy('packaging/corrosion', '.sql', '/etc/corrosion/schemas', 0o644);

  for (const [unit, text] of Object.entries(dropIns))
    await put(`/etc/systemd/system/${unit}.d/quickstart.conf`, text);

  const keys = generateKeys();
  const token = await mintToken(keys.privateKey, {
    hostId: plan.name,
    caps: ['coold', 'builder'],
    ttlMs: 86_400_000,
  });
  await put('/etc/coolify/host-jwt', token, 0o600);
  await put('/etc/coolify/jwt.pub', keys.publicKey);
  await put('/etc/coolify/api-token', randomBytes(32).toString('hex'), 0o600);
  for (const [name, text] of Object.entries(settingsFiles(plan, { gitServer })))
    await put(`/etc/coolify/${name}`, text, 0o600);
  return real === undefined ? 'stand-in' : 'corrosion';
}

/** Translates a path in this checkout to the path that the host's units see; other paths stay the same. */
function below(path: string): string {
  const way = relative(root, path);
  return way.startsWith('..') ? path : join(checkout, way);
}
