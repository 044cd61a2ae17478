import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimNames } from '../host-names.ts';
import { asOrder, HarnessError, type Host, type HostOrder, type Provider } from '../provider.ts';
import type { Server } from './answers.ts';
import {
  createHetznerApi,
  type HetznerApi,
  type HetznerApiOptions,
  type Labels,
  type NewServer,
} from './api.ts';
import type { HetznerSettings } from './environment.ts';
import { architectureOf, choosePlacements, type Placement } from './placement.ts';
import { deleteLabelled, groupLabels, ownLabels } from './removal.ts';
import { createServerHost, defaultHostPace, type HostPace, type ServerHost } from './server-host.ts';
import { createSsh, type SshOptions, sshCommand } from './ssh.ts';
import { ApiError } from './transport.ts';

export interface HetznerOptions {
  settings: HetznerSettings;
  /** The API's address and time limits, which tests replace. */
  api?: Pick<HetznerApiOptions, 'baseUrl' | 'pace'>;
  ssh?: Pick<SshOptions, 'program' | 'port'>;
  pace?: HostPace;
  /** A label for all servers of one command, so that the command can remove what its killed parts left. */
  group?: string;
  /** Called with messages for the user. */
  say?: (line: string) => void;
}

/** Creates a provider whose hosts are Hetzner Cloud servers, created for the run and deleted with it. They cost money. */
export function createHetzner(options: HetznerOptions): Provider {
  const { settings, pace = defaultHostPace } = options;
  const { say = line => void process.stderr.write(`${line}\n`) } = options;
  const run = randomBytes(4).toString('hex');
  const labels = { ...ownLabels, 'coolify-e2e-run': run, ...groupLabels(options.group) };
  const folder = mkdtempSync(join(tmpdir(), 'coolify-e2e-'));
  const over = new AbortController();
  const { token } = settings;
  const api = createHetznerApi({ token, ...options.api, signal: over.signal });
  const hosts = new Map<string, ServerHost>();
  const names = new Set<string>();
  const coming = new Set<Promise<unknown>>();
  let placements: Promise<Placement[]> | undefined;
  let closed: Promise<void> | undefined;

  const bringUp = async ({ name, system, share }: HostOrder, sshKey: number): Promise<Host> => {
    if (share !== undefined) throw new HarnessError(`${name}: a server shares no folder with this machine`);
    // Hetzner's images have the same names as the systems.
    const image = system ?? settings.image;
    const hostname = `#cloud-config\nhostname: ${name}\n`;
    const order = { name: `coolify-e2e-${run}-${name}`, image, sshKey, labels, userData: hostname };
    placements ??= findPlacements(api, settings);
    const server = await createSomewhere(api, order, await placements);
    if (server.address === undefined)
      throw new HarnessError(`${name}: the server has no public IPv4 address`);
    const { address, id } = server;
    const ssh = createSsh({
      ...options.ssh,
      name,
      address,
      key: settings.sshKey,
      folder,
      signal: over.signal,
    });
    const host = createServerHost({ name, server: { id, address }, api, ssh, folder, pace });
    hosts.set(name, host);
    await host.prepare();
    return host;
  };

  const remove = async () => {
    over.abort();
    await Promise.allSettled(coming);
    await Promise.allSettled([...hosts.values()].map(host => host.disconnect()));
    // A separate client, because the signal of the first is aborted.
    const cleaner = createHetznerApi({ token, ...options.api });
    try {
      // Nothing was requested, so there is nothing to remove.
      if (names.size === 0) return;
      const kept = settings.keepServers ? await cleaner.servers(labels) : [];
      if (kept.length === 0) await deleteLabelled(cleaner, labels);
      else tellKept(kept);
    } finally {
      await Promise.all([api.close(), cleaner.close(), rm(folder, { recursive: true, force: true })]);
    }
  };

  const tellKept = (servers: readonly Server[]) => {
    say(
      `E2E_KEEP_VMS=1: ${servers.length} servers of ${settings.project} live on, and cost money until swept:`,
    );
    for (const { name, address } of servers)
      say(`  ${name}: ${address === undefined ? 'no address' : sshCommand(settings.sshKey, address)}`);
  };

  const close = () => {
    closed ??= remove();
    return closed;
  };

  /** The first failure aborts the others at once; their own failures only follow from it. */
  const arrive = async (wanted: readonly HostOrder[]): Promise<Host[]> => {
    let first: { error: unknown } | undefined;
    const orElse = (error: unknown) => {
      first ??= { error };
      over.abort();
      return undefined;
    };
    const key = await ensureSshKey(api, `coolify-e2e-${run}`, settings.sshKey, labels).catch(orElse);
    const made =
      key === undefined ? [] : await Promise.all(wanted.map(order => bringUp(order, key).catch(orElse)));
    if (first !== undefined) throw first.error;
    return made.filter(host => host !== undefined);
  };

  return {
    name: 'hetzner',
    close,
    async up(wanted) {
      if (closed !== undefined) throw new HarnessError('this provider is closed');
      const orders = wanted.map(asOrder);
      claimNames(
        orders.map(({ name }) => name),
        names,
        mostHosts,
      );
      const arriving = arrive(orders);
      coming.add(arriving);
      try {
        return await arriving;
      } catch (error) {
        const left = await close().then(
          () => '',
          (failure: Error) => ` (and ${failure.message})`,
        );
        throw new HarnessError(`${error instanceof Error ? error.message : String(error)}${left}`, {
          cause: error,
        });
      } finally {
        coming.delete(arriving);
      }
    },
  };
}

/** A larger number is probably a mistake, and it would cost money. */
const mostHosts = 20;

/**
 * Makes sure that our public key is at Hetzner. A key can exist only once, so it may belong to another run or to the
 * owner.
 */
async function ensureSshKey(api: HetznerApi, name: string, sshKey: string, labels: Labels): Promise<number> {
  const publicKey = readFileSync(`${sshKey}.pub`, 'utf8').trim();
  try {
    return (await api.createSshKey({ name, publicKey, labels })).id;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'uniqueness_error') throw error;
    const [known] = await api.sshKeys({ fingerprint: fingerprint(publicKey) });
    if (known === undefined) throw error;
    return known.id;
  }
}

/** Returns the fingerprint in the API's form: MD5 of the key's bytes, as pairs of hex digits. */
function fingerprint(publicKey: string): string {
  const bytes = Buffer.from(publicKey.split(/\s+/)[1] ?? '', 'base64');
  return (createHash('md5').update(bytes).digest('hex').match(/../g) ?? []).join(':');
}

async function findPlacements(api: HetznerApi, settings: HetznerSettings): Promise<Placement[]> {
  const { serverType, location } = settings;
  const wish = { serverType, location, architecture: architectureOf(process.arch) };
  const placements = choosePlacements(serverType === undefined ? await api.serverTypes() : [], wish);
  if (placements.length === 0)
    throw new HarnessError(`no server type that is enough is sold in ${location ?? 'any location'}`);
  return placements;
}

/** Creates a server at the first placement in stock. @throws the refusal of the last placement */
async function createSomewhere(
  api: HetznerApi,
  order: Omit<NewServer, 'placement'>,
  placements: readonly Placement[],
): Promise<Server> {
  let refusal: unknown;
  for (const placement of placements) {
    try {
      return await api.createServer({ ...order, placement });
    } catch (error) {
      if (!(error instanceof ApiError) || !isOutOfStock(error)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function isOutOfStock({ code, message }: ApiError): boolean {
  if (code === 'resource_unavailable' || code === 'placement_error') return true;
  // The API lists prices also for locations where the type is no longer available.
  return code === 'invalid_input' && message.includes('location');
}
