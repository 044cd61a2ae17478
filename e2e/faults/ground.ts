import { generateKeys, mintToken } from '@coold/broker/token';
import { type Authority, createAuthority } from '@coold/testbed';
import { installPackages } from '../harness/debian-packages.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost, type Ground } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { expectExec, type HostSystem } from '../harness/provider.ts';
import { setVariables } from '../harness/settings.ts';
import { startUpstreams } from '../harness/upstream.ts';
import { type RunningPrometheus, startPrometheus } from './prometheus-on.ts';

/** The hosts on which faults are made: two hosts of a mesh, each with a broker. Both coolds dial the first broker. */
export interface FaultGround {
  fleet: Fleet;
  /** Has the broker that every coold dials, and the resolver that every host uses. */
  central: FleetHost;
  /** The host on which faults are made. */
  host: FleetHost;
  authority: Authority;
  /** Scrapes every program from the start. */
  prometheus: RunningPrometheus;
  /** Creates a token for a host, signed like its own. @param ttlMs negative for an expired token @param ageMs its age */
  token(hostId: string, ttlMs: number, ageMs?: number): Promise<string>;
}

const grpcPort = 6443;
const peerPort = 6444;
const dayMs = 86_400_000;
/** Nothing may expire soon except by a fault. */
const goodDays = 365;
export const outsideName = 'www.example.test';
/** The records that the upstream resolver of every host has. */
export const outsideRecords = { [outsideName]: '192.0.2.7' };

/**
 * Installs and configures the hosts. Everything is healthy when this resolves, or will be in a moment.
 *
 * @param folder on this machine, for certificates
 */
export async function createFaultGround(
  ground: Ground,
  system: HostSystem,
  folder: string,
): Promise<FaultGround> {
  const authority = await createAuthority(folder, 'ca', goodDays);
  const keys = generateKeys();
  // The first host of a mesh always has this address.
  const dialled = `100.64.0.1:${grpcPort}`;
  const fleet = await createFleet(ground, ['a', 'b'], ['default'], {
    brokers: {
      dialled,
      async configure({ name, host, mgmtIp }) {
        const addresses = `IP:${mgmtIp},DNS:broker-${name}`;
        const { certPath, keyPath } = await authority.issue(`broker-${name}`, { addresses, days: goodDays });
        for (const [file, target] of [
          [certPath, 'broker.crt'],
          [keyPath, 'broker.key'],
          [authority.caPath, 'ca.crt'],
        ] as const)
          await host.put({ file }, `/etc/coolify/${target}`, 0o600);
        return {
          BROKER_METRICS_BIND: `${mgmtIp}:9465`,
          BROKER_ROUTES_CORROSION_URL: 'http://127.0.0.1:8080',
          BROKER_ROUTES_BROKER_ID: `broker-${name}`,
          BROKER_ROUTES_BIND: `${mgmtIp}:${peerPort}`,
          BROKER_ROUTES_ADDRESS: `${mgmtIp}:${peerPort}`,
          // Short, so that a broker that is gone is soon dead. Its rows stay for 15 times as long, which is longer than
          // a fault lasts.
          BROKER_ROUTES_TTL: '30s',
          BROKER_ROUTES_TLS_CERT: '/etc/coolify/broker.crt',
          BROKER_ROUTES_TLS_KEY: '/etc/coolify/broker.key',
          BROKER_ROUTES_TLS_CA: '/etc/coolify/ca.crt',
        };
      },
    },
  });
  const [central, host] = fleet.hosts;
  if (central === undefined || host === undefined) throw new Error('two hosts were asked for');
  const token = (hostId: string, ttlMs: number, ageMs = 0) =>
    mintToken(
      keys.privateKey,
      { hostId, caps: ['coold', 'builder'], ttlMs: ttlMs + ageMs },
      Date.now() - ageMs,
    );
  await speakTls(central);
  await addKey(central, keys.publicKey);
  for (const member of fleet.hosts) {
    await member.host.put(await token(member.name, goodDays * dayMs), '/etc/coolify/host-jwt', 0o600);
    await setVariables(member, {
      COOLD_BROKER_URL: `grpcs://${dialled}/v1/agent`,
      COOLD_BROKER_CA: '/etc/coolify/ca.crt',
      COOLD_METRICS_BIND: `${member.mgmtIp}:9464`,
      COOLD_BUILDER_ENABLED: '1',
    });
  }
  await fleet.allConnected(60_000);
  await startUpstreams([central], fleet, outsideRecords);
  await installPackages(host.host, system, ['libfaketime']);
  const prometheus = await startPrometheus(central, system, fleet.hosts);
  for (const member of fleet.hosts)
    await runContainer(member.host, {
      name: `web-${member.name}`,
      network: 'coolify-default-mesh',
      // Restarted after a boot, because without a container the bridge is down and the namespace's DNS is not answered.
      args: ['--restart', 'always'],
    });
  return { fleet, central, host, authority, prometheus, token };
}

/** Makes the broker's listener for coolds use TLS. */
async function speakTls({ host }: FleetHost): Promise<void> {
  for (const part of ['crt', 'key'])
    await expectExec(host, ['cp', '-p', `/etc/coolify/broker.${part}`, `/etc/coolify/grpc.${part}`]);
  const before = (await host.get('/etc/coolify/broker.env')).toString();
  const tls = 'BROKER_TLS_CERT=/etc/coolify/grpc.crt\nBROKER_TLS_KEY=/etc/coolify/grpc.key\n';
  await host.put(before + tls, '/etc/coolify/broker.env', 0o600);
  await expectExec(host, ['systemctl', 'restart', 'broker.service']);
}

/** Makes the broker accept tokens of another key too. */
async function addKey({ host }: FleetHost, publicKey: string): Promise<void> {
  const before = (await host.get('/etc/coolify/jwt.pub')).toString();
  await host.put(before + publicKey, '/etc/coolify/jwt.pub', 0o644);
  await expectExec(host, ['systemctl', 'reload', 'broker.service']);
  await eventually(
    'the broker to have read its keys',
    async () => (await host.exec(['systemctl', 'is-active', 'broker.service'])).code === 0 || undefined,
    { timeoutMs: 10_000 },
  );
}
