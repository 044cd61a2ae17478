import { dirname } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import {
  authorityLife,
  type Check,
  type ConfigOf,
  certificateLife,
  checksExitCode,
  checksObject,
  explainUnreachable,
  type Finding,
  fail,
  findPortHolders,
  getJson,
  judgeDisk,
  judgeLife,
  judgeSettings,
  lookAtLife,
  ok,
  readDisks,
  readRegularFile,
  readSettings,
  readTlsPair,
  renderChecks,
  runChecks,
  runChild,
  UnreachableError,
  warn,
} from '@coold/runtime';
import { parseDenyList } from '../agent/deny-list.ts';
import { maxFileBytes } from '../agent/revocation.ts';
import { readTokenKeys } from '../agent/token-keys.ts';
import { type BrokerConfig, brokerCommand } from '../config.ts';
import { readCredentials } from '../peers/link/credentials.ts';
import { readPeerSettings } from '../peers/peer-options.ts';
import { judgeStatus } from '../status/judge-status.ts';
import { refuseMetricsPlace } from '../status/metrics-place.ts';
import { statusFields } from '../status/show-status.ts';
import type { BrokerStatus } from '../status/status.ts';
import type { doctorCommand } from './doctor-command.ts';
import { judgePort, type WantedPort } from './port.ts';
import { lookAtRoutes } from './routes-table.ts';
import { judgeTimeSync, readTimeSync } from './time-sync.ts';

/** Runs every check and prints a line for each finding. @returns the exit code: 0 when nothing fails, else 1 */
export async function runDoctor(
  { settingsFile, json }: ConfigOf<typeof doctorCommand>,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  const lines = await runChecks(await centralChecks(settingsFile));
  out(json ? `${JSON.stringify(checksObject(lines))}\n` : renderChecks(lines));
  return checksExitCode(lines);
}

const notInstalled = 'not asked: the broker has no settings here that can be used';
const noPeers = 'not asked: this broker is alone';

/**
 * Returns every check of the machine beside Laravel, in the order of the report.
 *
 * @param settingsFile the broker's settings
 */
async function centralChecks(settingsFile: string): Promise<Check[]> {
  const settings = await readSettings(brokerCommand, settingsFile);
  const config = settings.kind === 'read' ? settings.config : undefined;
  const withSettings = (
    name: string,
    look: (config: BrokerConfig, signal: AbortSignal) => Promise<Finding | Finding[]>,
  ): Check => ({
    name,
    look: async signal => (config === undefined ? ok(notInstalled) : await look(config, signal)),
  });
  return [
    { name: 'settings', look: async () => judgeSettings('broker', settings) },
    { name: 'clock', look: async signal => judgeTimeSync(await readTimeSync(signal)) },
    withSettings('ports', lookAtPorts),
    withSettings('keys', async ({ jwtPublicKeyPath }) => lookAtKeys(jwtPublicKeyPath)),
    withSettings('revoked', async ({ revokedFile }) => lookAtRevoked(revokedFile)),
    withSettings('certificates', lookAtCertificates),
    withSettings('socket', lookAtSocket),
    withSettings('Corrosion', async (known, signal) => {
      const peers = readPeerSettings(known);
      if (peers === undefined) return ok(noPeers);
      return lookAtRoutes(
        createCorrosion({ ...peers.corrosion, timeoutMs: 5000 }),
        peers.corrosion.url,
        signal,
      );
    }),
    { name: 'disk', look: () => lookAtDisk(config) },
    withSettings('broker', async ({ unixSocketPath }) => askDaemon(unixSocketPath)),
  ];
}

async function lookAtPorts({ grpcBind, metricsBind, routesBind }: BrokerConfig): Promise<Finding[]> {
  const refused = metricsBind === undefined ? undefined : refuseMetricsPlace(metricsBind.host);
  const wanted: WantedPort[] = [
    { use: 'hosts', bind: grpcBind },
    ...(metricsBind === undefined ? [] : [{ use: 'metrics', bind: metricsBind }]),
    ...(routesBind === undefined ? [] : [{ use: 'other brokers', bind: routesBind }]),
  ];
  const findings = await Promise.all(
    wanted.map(async one => judgePort(one, await findPortHolders(one.bind.host, one.bind.port))),
  );
  return refused === undefined
    ? findings
    : [...findings, fail(refused, 'bind metrics to loopback or to the address of wg0')];
}

async function lookAtKeys(path: string): Promise<Finding> {
  try {
    const keys = await readTokenKeys(path);
    return ok(`${path} holds ${keys.length} public key${keys.length === 1 ? '' : 's'} for host tokens`);
  } catch (error) {
    const why = (error as Error).message;
    return fail(
      `${path} cannot be used: ${why}`,
      'make a pair with `broker keygen`, and put the public key there',
    );
  }
}

async function lookAtRevoked(path: string | undefined): Promise<Finding> {
  if (path === undefined) return ok('no file of revoked tokens is configured');
  try {
    return ok(
      `${path} revokes ${parseDenyList(await readRegularFile(path, { maxBytes: maxFileBytes })).size} tokens`,
    );
  } catch (error) {
    return fail(`${path} cannot be used: ${(error as Error).message}`, 'correct that line of the file');
  }
}

async function lookAtCertificates(config: BrokerConfig): Promise<Finding[]> {
  const { tlsCert: cert, tlsKey: key } = config;
  const now = Date.now();
  const listener =
    cert === undefined || key === undefined
      ? warn(
          'hosts are served without TLS: anyone on the network path can read their tokens',
          'set BROKER_TLS_CERT and BROKER_TLS_KEY, unless the broker is reached through the mesh alone',
        )
      : judgeLife(
          { name: 'the TLS certificate', renewal: 'put a new one into BROKER_TLS_CERT and BROKER_TLS_KEY' },
          await lookAtLife(async () => certificateLife((await readTlsPair({ cert, key })).cert)),
          now,
        );
  const peers = readPeerSettings(config);
  if (peers === undefined) return [listener];
  const pair = readCredentials(peers);
  const shown = await lookAtLife(async () => certificateLife((await pair).cert));
  const authority = await lookAtLife(async () => authorityLife((await pair).ca));
  return [
    listener,
    judgeLife(
      {
        name: 'the certificate that other brokers are shown',
        renewal: 'put a new one into BROKER_ROUTES_TLS_CERT and BROKER_ROUTES_TLS_KEY',
      },
      shown,
      now,
    ),
    judgeLife(
      { name: 'the CA of the other brokers', renewal: 'put the next CA into BROKER_ROUTES_TLS_CA beside it' },
      authority,
      now,
    ),
  ];
}

const getentMs = 5000;

async function lookAtSocket(
  { unixSocketPath, unixSocketGroup }: BrokerConfig,
  signal: AbortSignal,
): Promise<Finding> {
  if (unixSocketGroup === undefined)
    return ok(`${unixSocketPath} is for its owner only: Laravel must run as that user`);
  const args = ['group', '--', unixSocketGroup];
  const { code } = await runChild('getent', args, { timeoutMs: getentMs, signal });
  return code === 0
    ? ok(`${unixSocketPath} is for group ${unixSocketGroup}`)
    : fail(
        `BROKER_UNIX_SOCKET_GROUP ${unixSocketGroup} is not a group of this system`,
        `groupadd ${unixSocketGroup}, and add Laravel's user to it`,
      );
}

async function lookAtDisk(config: BrokerConfig | undefined): Promise<Finding[]> {
  const settings = config?.revokedFile === undefined ? '/etc' : dirname(config.revokedFile);
  const disks = await readDisks([
    ['the system', '/'],
    ['settings', settings],
  ]);
  return disks.map(disk => {
    const problem = judgeDisk(disk, 'make room');
    return problem === undefined
      ? ok(`${Math.floor(disk.free / 1024 ** 3)} GiB are free for ${disk.uses.join(' and ')}`)
      : fail(problem, 'du -xh / --max-depth=2 shows what takes the room');
  });
}

const statusMs = 5000;

/** Judges the running broker as `broker status` does. @throws Error when its answer is not a status */
async function askDaemon(socketPath: string): Promise<Finding[]> {
  try {
    const asked = { at: { socketPath }, path: '/v1/status', timeoutMs: statusMs, fields: statusFields };
    const status = (await getJson(asked)) as BrokerStatus;
    const problems = judgeStatus(status, new Date());
    return problems.length === 0
      ? [ok(`broker ${status.version} runs and is healthy, with ${status.hosts} hosts`)]
      : problems.map(problem =>
          fail(problem, 'the page Troubleshooting of the documentation says what to do about each'),
        );
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    return [fail(explainUnreachable('broker', error), 'journalctl -u broker -n 50')];
  }
}
