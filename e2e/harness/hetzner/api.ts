import { eventually } from '../eventually.ts';
import { HarnessError } from '../provider.ts';
import {
  type Action,
  readAction,
  readMember,
  readMembers,
  readPage,
  readServer,
  readServerType,
  readSshKey,
  type Server,
  type ServerType,
  type SshKey,
} from './answers.ts';
import type { Placement } from './placement.ts';
import { ApiError, createTransport, defaultPace, type Pace } from './transport.ts';

const hetznerCloud = 'https://api.hetzner.cloud/v1';

/** The largest page size. */
const perPage = '50';

export type Labels = Record<string, string>;

export interface NewServer {
  name: string;
  placement: Placement;
  image: string;
  sshKey: number;
  labels: Labels;
  /** User data for cloud-init. */
  userData: string;
}

/** The part of the Hetzner Cloud API that the harness uses. Every call resolves when its effect is complete. */
export interface HetznerApi {
  /** Resolves when the server runs. */
  createServer(server: NewServer): Promise<Server>;
  servers(labels: Labels): Promise<Server[]>;
  /** Resolves when the server is gone. It may have been gone before. */
  deleteServer(id: number): Promise<void>;
  /** powerOff cuts the power without a shutdown; both resolve when the server is off, or runs. */
  powerOff(id: number): Promise<void>;
  powerOn(id: number): Promise<void>;
  createSshKey(key: { name: string; publicKey: string; labels: Labels }): Promise<SshKey>;
  sshKeys(filter: { labels: Labels } | { fingerprint: string }): Promise<SshKey[]>;
  deleteSshKey(id: number): Promise<void>;
  serverTypes(): Promise<ServerType[]>;
  close(): Promise<void>;
}

export interface HetznerApiOptions {
  token: string;
  baseUrl?: string;
  pace?: Partial<Pace & ActionPace>;
  signal?: AbortSignal;
}

/** Time limits, in ms. */
interface ActionPace {
  pollMs: number;
  /** For an action and its effect. A server is usually created in less than a minute. */
  actionMs: number;
}

export function createHetznerApi(options: HetznerApiOptions): HetznerApi {
  const { token, baseUrl = hetznerCloud, signal } = options;
  const pace = { ...defaultPace, pollMs: 1000, actionMs: 300_000, ...options.pace };
  const { send, close } = createTransport({
    baseUrl,
    token,
    pace,
    ...(signal === undefined ? {} : { signal }),
  });
  const polling = { timeoutMs: pace.actionMs, everyMs: pace.pollMs };

  const list = async <T>(
    path: string,
    member: string,
    query: Record<string, string>,
    read: (entry: unknown) => T,
  ): Promise<T[]> => {
    const all: T[] = [];
    for (let page: number | undefined = 1; page !== undefined; ) {
      const paged: Record<string, string> = { ...query, page: String(page), per_page: perPage };
      const { entries, next } = readPage(await send('GET', path, { query: paged }), member, read);
      all.push(...entries);
      // A list whose next page is not later would never end.
      page = next !== undefined && next > page ? next : undefined;
    }
    return all;
  };

  const done = async (action: Action, of: string): Promise<void> => {
    let latest = action;
    await eventually(
      `${action.command} of ${of} to be done`,
      async () => {
        if (latest.status === 'running')
          latest = readMember(await send('GET', `/actions/${action.id}`), 'action', readAction);
        if (latest.status === 'error')
          throw new HarnessError(`${action.command} of ${of} failed: ${latest.error}`);
        return latest.status === 'success' ? true : undefined;
      },
      polling,
    );
  };

  const hasStatus = (server: Pick<Server, 'id'>, of: string, status: string): Promise<Server> =>
    eventually(
      `${of} to be ${status}`,
      async () => {
        const now = readMember(await send('GET', `/servers/${server.id}`), 'server', readServer);
        return now.status === status ? now : undefined;
      },
      polling,
    );

  const power = async (id: number, command: 'poweron' | 'poweroff', status: string) => {
    const answer = await send('POST', `/servers/${id}/actions/${command}`);
    await done(readMember(answer, 'action', readAction), `server ${id}`);
    await hasStatus({ id }, `server ${id}`, status);
  };

  return {
    async createServer({ name, placement, image, sshKey, labels, userData }) {
      const { serverType, location } = placement;
      const body = {
        name,
        server_type: serverType,
        ...(location === undefined ? {} : { location }),
        image,
        ssh_keys: [sshKey],
        labels,
        user_data: userData,
        start_after_create: true,
      };
      try {
        const answer = await send('POST', '/servers', { body });
        const server = readMember(answer, 'server', readServer);
        await done(readMember(answer, 'action', readAction), name);
        for (const action of readMembers(answer, 'next_actions', readAction)) await done(action, name);
        return await hasStatus(server, name, 'running');
      } catch (error) {
        // An earlier try whose answer was lost has created it. Names are unique in a project, and ours contain the run.
        if (!(error instanceof ApiError) || error.code !== 'uniqueness_error') throw error;
        const [server] = await list(
          '/servers',
          'servers',
          { name, label_selector: selector(labels) },
          readServer,
        );
        if (server === undefined) throw error;
        return await hasStatus(server, name, 'running');
      }
    },
    servers: labels => list('/servers', 'servers', { label_selector: selector(labels) }, readServer),
    async deleteServer(id) {
      await ignoreMissing(async () => {
        const answer = await send('DELETE', `/servers/${id}`);
        await done(readMember(answer, 'action', readAction), `server ${id}`);
      });
    },
    powerOff: id => power(id, 'poweroff', 'off'),
    powerOn: id => power(id, 'poweron', 'running'),
    async createSshKey({ name, publicKey, labels }) {
      const answer = await send('POST', '/ssh_keys', { body: { name, public_key: publicKey, labels } });
      return readMember(answer, 'ssh_key', readSshKey);
    },
    sshKeys(filter) {
      const query: Record<string, string> =
        'labels' in filter
          ? { label_selector: selector(filter.labels) }
          : { fingerprint: filter.fingerprint };
      return list('/ssh_keys', 'ssh_keys', query, readSshKey);
    },
    async deleteSshKey(id) {
      await ignoreMissing(() => send('DELETE', `/ssh_keys/${id}`));
    },
    serverTypes: () => list('/server_types', 'server_types', {}, readServerType),
    close,
  };
}

function selector(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

async function ignoreMissing(remove: () => Promise<unknown>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
}
