import { open, rm } from 'node:fs/promises';
import { hostname, release, uptime } from 'node:os';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { createCorrosion } from '@coold/corrosion';
import {
  type ConfigOf,
  checksObject,
  getJson,
  parseEnvironmentFile,
  readRegularFile,
  readSettings,
  runChecks,
  runChild,
  type Settings,
} from '@coold/runtime';
import { type CooldConfig, cooldCommand } from '../config.ts';
import { readMemory, readPeers, wireguardInterface } from '../discovery/hosts/host-facts.ts';
import { neededTables } from '../doctor/corrosion.ts';
import { askProgram, neededPrograms } from '../doctor/programs.ts';
import { hostChecks } from '../doctor/run-doctor.ts';
import { scaffoldCommand } from '../firewall/scaffold/scaffold-command.ts';
import { createPodman, type Podman } from '../podman/client.ts';
import { collectParts, maxPartBytes, type PartSource, withoutCutEnd } from './bundle.ts';
import { journalTail } from './journal-tail.ts';
import { readKnownSecrets } from './known-secrets.ts';
import { createRedactor } from './redact.ts';
import { hiddenInUnit, showUnit } from './show-unit.ts';
import { showSettings } from './shown-settings.ts';
import type { supportCommand } from './support-command.ts';
import { tar } from './tar.ts';

const units = [
  ...['coold.service', 'coolify-mesh-fw.service', 'coolify-mesh-allow.service', 'corrosion.service'],
  ...['podman.service', 'podman.socket', 'podman-restart.service', 'wg-quick@wg0.service', 'broker.service'],
];
const shownProperties =
  'Id,LoadState,ActiveState,SubState,Result,UnitFileState,FragmentPath,DropInPaths,NRestarts,ExecMainStatus,ExecMainCode,ExecMainStartTimestamp,ActiveEnterTimestamp,InactiveEnterTimestamp,MemoryCurrent,CPUUsageNSec,StatusText';
const journal = { lines: 5000, bytes: 4 * 1024 * 1024 };
/** A part is cut later, when it exceeds its own limit. */
const rulesFile = { maxBytes: 256 * 1024 * 1024 };
const toolMs = 30_000;
const maxRows = 10_000;
const maxInspected = 500;
/** The length of the host's name, because paths in an archive have 100 bytes. */
const maxNameLength = 20;

const readme = `What this host's coold says of itself, of the host and of what it works with. Secrets are taken out:
- of settings only what coold understands is shown, of all other variables the names;
- environments of containers and values of their labels are not here;
- in logs, rules and messages what looks like a secret, and every secret that is known on this host, stands as <redacted>.
Look through it before you send it. MISSING.txt names what could not be read, and why.
`;

/**
 * Writes the archive, readable by its owner only, and prints its path.
 *
 * @returns the exit code: 0
 * @throws Error when it cannot be written
 */
export async function runSupportBundle(
  { output, settingsFile }: ConfigOf<typeof supportCommand>,
  version: string,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  const at = new Date();
  const name = `coold-support-${hostname().slice(0, maxNameLength)}-${at.toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
  const path = resolve(output ?? `${name}.tar.gz`);
  // Opened before anything is read: an unusable path is reported at once, and no existing file is overwritten.
  const file = await open(path, 'wx', 0o600);
  try {
    const settings = await readSettings(cooldCommand, settingsFile);
    const config = settings.kind === 'read' ? settings.config : undefined;
    const podman = createPodman(config?.podmanSocket ?? '/run/podman/podman.sock');
    const redactor = createRedactor(await knownSecrets({ settingsFile, config, podman }));
    const parts = await collectParts(sources({ settingsFile, config, settings, podman, version }), redactor);
    const files = [{ name: 'README.txt', content: Buffer.from(readme) }, ...parts];
    const archive = tar(
      files.map(one => ({ ...one, name: `${name}/${one.name}` })),
      at,
    );
    await file.chmod(0o600);
    await file.writeFile(await promisify(gzip)(archive));
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  out(`${path}\n`);
  return 0;
}

interface Known {
  settingsFile: string;
  config: CooldConfig | undefined;
  podman: Podman;
}

async function knownSecrets({ settingsFile, config, podman }: Known): Promise<string[]> {
  const within = AbortSignal.timeout(toolMs);
  const [env, mesh, catted, assignments] = await Promise.all([
    readRegularFile(settingsFile).catch(() => ''),
    readRegularFile(config?.meshEnv ?? '/etc/coolify/mesh.env').catch(() => ''),
    Promise.all(units.map(unit => tool('systemctl', ['cat', '--', unit], within).catch(() => ''))),
    assignmentsOf(podman, within).catch(() => []),
  ]);
  const broker = parseEnvironmentFile(await readRegularFile('/etc/coolify/broker.env').catch(() => ''));
  return await readKnownSecrets({
    files: [
      config?.apiTokenFile,
      config?.hostJwtPath ?? '/etc/coolify/host-jwt',
      config?.corrosionTokenFile,
      config?.tlsKey,
      '/etc/coolify/api-token',
      broker['BROKER_TLS_KEY'],
      broker['BROKER_ROUTES_TLS_KEY'],
      broker['BROKER_ROUTES_CORROSION_TOKEN_FILE'],
    ].flatMap(path => (path?.startsWith('/') === true ? [path] : [])),
    hidden: [
      ...showSettings(cooldCommand, env).hidden,
      ...showSettings(scaffoldCommand, mesh).hidden,
      ...catted.flatMap(hiddenInUnit),
    ],
    assignments,
  });
}

/**
 * Returns environments and labels of containers, and labels of networks, as NAME=value, because programs log what they
 * are given.
 *
 * @throws VerbError when Podman does not answer
 */
async function assignmentsOf(podman: Podman, signal: AbortSignal): Promise<string[]> {
  const containers = (await podman.listed(signal)).slice(0, maxInspected);
  const networks = await podman.networks.list(signal);
  const found = networks.flatMap(({ labels }) =>
    Object.entries(labels).map(([name, value]) => `${name}=${value}`),
  );
  for (const { id, labels } of containers) {
    found.push(...Object.entries(labels).map(([name, value]) => `${name}=${value}`));
    const { Config } = await podman.containers.inspect(id, signal).catch(() => ({ Config: undefined }));
    const env = typeof Config === 'object' && Config !== null && 'Env' in Config ? Config.Env : undefined;
    if (Array.isArray(env)) found.push(...env.filter(one => typeof one === 'string'));
  }
  return found;
}

async function tool(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const limits = { timeoutMs: toolMs, maxOutputBytes: maxPartBytes, signal };
  const { code, stdout, stderr, truncated } = await runChild(program, args, limits);
  if (code !== 0 && stdout === '')
    throw new Error(`${program}: ${stderr.trim().slice(0, 500) || `exit ${code}`}`);
  return truncated ? withoutCutEnd(stdout) : stdout;
}

function sources(known: Known & { settings: Settings<CooldConfig>; version: string }): PartSource[] {
  const { settingsFile, config, settings, podman, version } = known;
  const meshEnv = config?.meshEnv ?? '/etc/coolify/mesh.env';
  const json = (name: string, read: (signal: AbortSignal) => Promise<unknown>): PartSource => ({
    name,
    read: async signal => ({ kind: 'json', value: await read(signal) }),
  });
  const text = (name: string, read: (signal: AbortSignal) => Promise<string>): PartSource => ({
    name,
    read: async signal => ({ kind: 'text', text: await read(signal) }),
  });
  const command = (name: string, program: string, ...args: string[]) =>
    text(name, signal => tool(program, args, signal));
  const socketPath = config?.unixSocketPath ?? '/run/coolify/coold.sock';
  return [
    json('status.json', () => getJson({ at: { socketPath }, path: '/status', timeoutMs: 10_000 })),
    json('doctor.json', async () => checksObject(await runChecks(await hostChecks(settingsFile)))),
    json('versions.json', async signal => ({
      coold: version,
      node: process.version,
      kernel: release(),
      uptime_s: uptime(),
      memory: await readMemory(),
      programs: Object.fromEntries(
        await Promise.all(
          neededPrograms.map(
            async program => [program.name, (await askProgram(program, signal)) ?? null] as const,
          ),
        ),
      ),
    })),
    text('os-release.txt', () => readRegularFile('/etc/os-release')),
    json('settings/coold.json', async () =>
      settingsPart(settings, showSettings(cooldCommand, await readRegularFile(settingsFile))),
    ),
    json('settings/mesh.json', async () =>
      shownPart(showSettings(scaffoldCommand, await readRegularFile(meshEnv))),
    ),
    command('units/states.txt', 'systemctl', 'show', `--property=${shownProperties}`, '--', ...units),
    command('units/failed.txt', 'systemctl', 'list-units', '--failed', '--no-pager', '--plain', '--all'),
    ...units.map(unit =>
      text(`units/${unit}`, async signal => showUnit(await tool('systemctl', ['cat', '--', unit], signal))),
    ),
    ...['coold.service', 'corrosion.service', 'podman.service', 'coolify-mesh-fw.service'].map(unit =>
      text(
        `journal/${unit}.txt`,
        async signal => (await journalTail(['--unit', unit], journal, signal)).text,
      ),
    ),
    text(
      'journal/warnings.txt',
      async signal => (await journalTail(['--priority', 'warning'], journal, signal)).text,
    ),
    command('firewall/iptables.txt', 'iptables-save'),
    command('firewall/nft.txt', 'nft', 'list', 'ruleset'),
    text('firewall/allow.rules', () =>
      readRegularFile(config?.rulesPath ?? '/etc/coolify/allow.rules', rulesFile),
    ),
    text('firewall/allow.nft', () =>
      readRegularFile(config?.bridgeRulesPath ?? '/etc/coolify/allow.nft', rulesFile),
    ),
    command('network/addresses.txt', 'ip', 'address', 'show'),
    command('network/routes.txt', 'ip', 'route', 'show', 'table', 'all'),
    command('network/sockets.txt', 'ss', '-lntup'),
    text('network/resolv.conf', () => readRegularFile('/etc/resolv.conf')),
    // Not the output of `wg show`, because its dump begins with the private key.
    json('network/wireguard.json', signal =>
      readPeers(wireguardInterface, signal).then(peers => peers ?? null),
    ),
    command('disks.txt', 'df', '--all', '--human-readable', '--print-type'),
    json('podman/info.json', signal => podman.host.facts(signal)),
    json('podman/networks.json', async signal =>
      (await podman.networks.list(signal)).map(({ labels, ...network }) => ({
        ...network,
        labels: Object.keys(labels),
      })),
    ),
    json('podman/containers.json', async signal =>
      (await podman.listed(signal)).map(({ labels, ...container }) => ({
        ...container,
        labels: Object.keys(labels),
      })),
    ),
    ...neededTables.map(table => json(`rows/${table.name}.json`, signal => rowsOf(table, config, signal))),
  ];
}

const shownPart = ({ known, others }: ReturnType<typeof showSettings>) => ({
  settings: known,
  not_shown: others,
});

function settingsPart(settings: Settings<CooldConfig>, shown: ReturnType<typeof showSettings>): object {
  return { ...(settings.kind === 'unusable' ? { unusable: settings.why } : {}), ...shownPart(shown) };
}

/** Returns the first of this host's own rows. @throws Error when Corrosion does not answer, or coold has no settings */
async function rowsOf(
  { name, columns }: (typeof neededTables)[number],
  config: CooldConfig | undefined,
  signal: AbortSignal,
): Promise<object> {
  if (config === undefined) throw new Error('coold has no settings here that could be used');
  const corrosion = createCorrosion({
    url: config.corrosionUrl,
    tokenFile: config.corrosionTokenFile,
    timeoutMs: 10_000,
  });
  const rows: unknown[][] = [];
  const sql = `SELECT ${columns.join(', ')} FROM ${name} WHERE host_mgmt_ip = ? LIMIT ${maxRows}`;
  await corrosion.query([sql, [config.hostMgmtIp]], row => void rows.push(row), signal);
  return { columns, rows };
}
