import { networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import {
  authorityLife,
  type Check,
  type ConfigOf,
  certificateLife,
  checksExitCode,
  checksObject,
  errorMessage,
  type Finding,
  fail,
  findPortHolders,
  judgeLife,
  judgeSettings,
  type Life,
  lookAtLife,
  ok,
  readRegularFile,
  readSecretFile,
  readSettings,
  readTlsPair,
  renderChecks,
  runChecks,
  tokenClaims,
  tokenLife,
} from '@coold/runtime';
import { type CooldConfig, cooldCommand } from '../config.ts';
import { readPeers, wireguardInterface } from '../discovery/hosts/host-facts.ts';
import { readDesiredScaffold } from '../firewall/scaffold/desired-scaffold.ts';
import { readMeshLinks } from '../firewall/scaffold/mesh-links.ts';
import { readDifferences } from '../firewall/scaffold/read-differences.ts';
import { createPodman } from '../podman/client.ts';
import { askPodman } from '../status/ask-podman.ts';
import type { Credential } from '../status/credential-ends.ts';
import { type DiskPaths, judgeDisk, readDisks } from '../status/disks.ts';
import { credentialNames, renewals } from '../status/judge-status.ts';
import { hostNetworks } from '../verbs/network/subnet-claims.ts';
import { judgeAddressPlan } from './address-plan.ts';
import { askBroker, type BrokerAnswer, judgeBroker, judgeClock } from './broker.ts';
import { askFromContainer, judgeContainerDns } from './container-dns.ts';
import { judgeTables, lookAtTable, neededTables } from './corrosion.ts';
import { askDaemon } from './daemon.ts';
import { judgeDeny, readDeny } from './default-deny.ts';
import type { doctorCommand } from './doctor-command.ts';
import { findContainer } from './find-container.ts';
import { configOf, type DoctoredHost, notInstalled } from './host.ts';
import { judgeKernel, readKernel } from './kernel.ts';
import { judgeOtherFirewalls, readOtherFirewalls } from './other-firewalls.ts';
import { judgePort, wantedPorts } from './ports.ts';
import {
  askProgram,
  iptablesVariant,
  judgeLegacyRules,
  judgeProgram,
  neededPrograms,
  readLegacyRules,
} from './programs.ts';
import { judgeWireguard } from './wireguard.ts';

const defaultMeshEnv = '/etc/coolify/mesh.env';
const podmanStorage = '/var/lib/containers';

/** Makes every check and prints a line for each finding. @returns the exit code: 0 when nothing fails, else 1 */
export async function runDoctor(
  { settingsFile, json }: ConfigOf<typeof doctorCommand>,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  const lines = await runChecks(await hostChecks(settingsFile));
  out(json ? `${JSON.stringify(checksObject(lines))}\n` : renderChecks(lines));
  return checksExitCode(lines);
}

/** Returns every check of a host, in the order of the report. @param settingsFile coold's settings */
export async function hostChecks(settingsFile: string): Promise<Check[]> {
  const settings = await readSettings(cooldCommand, settingsFile);
  const meshEnv = settings.kind === 'read' ? settings.config.meshEnv : defaultMeshEnv;
  const host: DoctoredHost = { settings, desired: await readDesiredScaffold(meshEnv) };
  return [
    { name: 'settings', look: async () => judgeSettings('coold', settings) },
    { name: 'kernel', look: async () => judgeKernel(await readKernel()) },
    ...neededPrograms.map(
      (program): Check => ({
        name: program.name,
        look: async signal => {
          const said = await askProgram(program, signal);
          const finding = judgeProgram(program, said);
          if (program.name !== 'iptables' || said === undefined) return finding;
          const legacy = await readLegacyRules(signal);
          return [finding, ...judgeLegacyRules(iptablesVariant(said), legacy)];
        },
      }),
    ),
    {
      name: 'firewalls',
      look: async signal => judgeOtherFirewalls(await readOtherFirewalls(signal), firstGateway(host)),
    },
    { name: 'default deny', look: async () => judgeDeny(host.desired, await readDenyIfNamed(host)) },
    { name: 'address plan', look: signal => lookAtPlan(host, signal) },
    { name: wireguardInterface, look: signal => lookAtWireguard(host, signal) },
    ...installedChecks(host),
  ];
}

/** The kernel is not read when nothing is to be denied. */
async function readDenyIfNamed({ desired }: DoctoredHost) {
  return desired.kind === 'named' ? await readDeny() : { hooks: false, guard: false, bridge: false };
}

function firstGateway(host: DoctoredHost): string | undefined {
  return configOf(host)?.namespaces.find(({ gateway }) => gateway !== '0.0.0.0')?.gateway;
}

async function lookAtPlan(host: DoctoredHost, signal: AbortSignal): Promise<Finding[]> {
  const config = configOf(host);
  const { desired } = host;
  const subnets = desired.kind === 'named' ? desired.scaffold.subnets : [];
  const [networks, links, differences] = await Promise.all([
    hostNetworks(signal),
    readMeshLinks(subnets),
    config === undefined ? undefined : readDifferences({ ...config, otherPools: [] }),
  ]);
  if (config === undefined && desired.kind === 'none') return [ok(notInstalled)];
  const plan = { desired, networks, links, networkPool: config?.networkPool };
  return judgeAddressPlan({ ...plan, differences: differences?.all ?? [] });
}

async function lookAtWireguard(host: DoctoredHost, signal: AbortSignal): Promise<Finding[]> {
  const addresses = networkInterfaces()
    [wireguardInterface]?.filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address);
  return judgeWireguard({
    interface: wireguardInterface,
    addresses,
    hostMgmtIp: configOf(host)?.hostMgmtIp,
    peers: addresses === undefined ? undefined : await readPeers(wireguardInterface, signal),
  });
}

/** The checks that need settings. */
function installedChecks(host: DoctoredHost): Check[] {
  const config = configOf(host);
  const withSettings = (
    name: string,
    look: (config: CooldConfig, signal: AbortSignal) => Promise<Finding | Finding[]>,
  ): Check => ({
    name,
    look: async signal => (config === undefined ? ok(notInstalled) : await look(config, signal)),
  });
  const asked = brokerOnce();
  return [
    withSettings('ports', async ({ namespaces, apiBind, metricsBind }) =>
      Promise.all(
        wantedPorts({ namespaces, apiBind, metricsBind }).map(async wanted =>
          judgePort(wanted, await findPortHolders(wanted.address, wanted.port)),
        ),
      ),
    ),
    withSettings('Podman', async ({ podmanSocket }) => {
      const podman = createPodman(podmanSocket);
      const health = await askPodman({ version: podman.host.version, list: podman.lifecycle.list });
      return 'version' in health
        ? ok(`${podmanSocket} answers, Podman ${health.version}`)
        : fail(`${podmanSocket} does not answer: ${health.problem}`, 'systemctl status podman.socket podman');
    }),
    withSettings('DNS', async ({ podmanSocket, namespaces, dnsZone }, signal) => {
      const container = await findContainer(createPodman(podmanSocket), namespaces, signal);
      const answer = container === undefined ? undefined : await askFromContainer(container, dnsZone, signal);
      return judgeContainerDns(container, dnsZone, answer);
    }),
    withSettings('Corrosion', async ({ corrosionUrl, corrosionTokenFile }, signal) => {
      const corrosion = createCorrosion({
        url: corrosionUrl,
        tokenFile: corrosionTokenFile,
        timeoutMs: 5000,
      });
      const looks = await Promise.all(
        neededTables.map(async table => [table, await lookAtTable(corrosion, table, signal)] as const),
      );
      return judgeTables(looks, corrosionUrl);
    }),
    withSettings('broker', async (config, signal) => {
      const url = dialled(config);
      return url === undefined ? ok(noBroker) : judgeBroker(url, await asked(config, signal));
    }),
    withSettings('clock', async (config, signal) =>
      dialled(config) === undefined ? ok(noBroker) : judgeClock(await asked(config, signal)),
    ),
    withSettings('token', async config =>
      dialled(config) === undefined
        ? ok(noBroker)
        : judge('token', async () => readTokenLife(await readSecretFile(config.hostJwtPath))),
    ),
    withSettings('certificates', async ({ brokerCa, tlsCert, tlsKey }) => {
      const ca =
        brokerCa === undefined
          ? undefined
          : judge('broker_ca', async () => authorityLife(await readRegularFile(brokerCa)));
      const api =
        tlsCert === undefined || tlsKey === undefined
          ? undefined
          : judge('api_certificate', async () =>
              certificateLife((await readTlsPair({ cert: tlsCert, key: tlsKey })).cert),
            );
      const findings = await Promise.all([ca, api].filter(one => one !== undefined));
      return findings.length === 0
        ? ok("none of coold's own: the system's authorities, and plain HTTP")
        : findings;
    }),
    withSettings('secrets', async ({ apiTokenFile, corrosionTokenFile }) => {
      const files = [apiTokenFile, corrosionTokenFile].filter(path => path !== undefined);
      return files.length === 0 ? ok('no token file is configured') : Promise.all(files.map(judgeSecret));
    }),
    { name: 'disks', look: () => lookAtDisks(config) },
    withSettings('coold', ({ unixSocketPath }) => askDaemon(unixSocketPath)),
  ];
}

const noBroker = 'not asked: no broker is configured';

const dialled = ({ brokerUrl, grpcDisabled }: CooldConfig) => (grpcDisabled ? undefined : brokerUrl);

/** Two checks share one answer. */
function brokerOnce(): (config: CooldConfig, signal: AbortSignal) => Promise<BrokerAnswer> {
  let answer: Promise<BrokerAnswer> | undefined;
  return (config, signal) => {
    answer ??= (async (): Promise<BrokerAnswer> => {
      const url = dialled(config);
      if (url === undefined) return { kind: 'unreachable', why: noBroker };
      try {
        const ca = config.brokerCa === undefined ? undefined : await readRegularFile(config.brokerCa);
        return await askBroker(url, ca, signal);
      } catch (error) {
        return { kind: 'unreachable', why: errorMessage(error) };
      }
    })();
    return answer;
  };
}

async function judge(credential: Credential, read: () => Promise<Life | undefined>): Promise<Finding> {
  const what = { name: credentialNames[credential], renewal: renewals[credential] };
  return judgeLife(what, await lookAtLife(read), Date.now());
}

async function judgeSecret(path: string): Promise<Finding> {
  try {
    await readSecretFile(path);
    return ok(`${path} is there, for its owner alone`);
  } catch (error) {
    return fail(errorMessage(error), 'put the token there, and `chmod 600` it');
  }
}

async function lookAtDisks(config: CooldConfig | undefined): Promise<Finding[]> {
  const paths: DiskPaths = {
    containers: podmanStorage,
    settings: config === undefined ? '/etc' : dirname(config.rulesPath),
    ...(config?.builderEnabled ? { builds: config.builderWorkDir } : {}),
  };
  const disks = await readDisks(paths);
  return disks.map(disk => {
    const problem = judgeDisk(disk);
    const room = `${Math.floor(disk.free / 1024 ** 3)} of ${Math.floor(disk.total / 1024 ** 3)} GiB are free`;
    return problem === undefined
      ? ok(`${room} for ${disk.uses.join(' and ')} (${disk.path})`)
      : fail(problem, 'podman system df shows what takes the room');
  });
}

/** @throws Error for a text that is not a token */
function readTokenLife(token: string): ReturnType<typeof tokenLife> {
  if (tokenClaims(token) === undefined) throw new Error('its file holds no token');
  return tokenLife(token);
}
