import { type PodmanConnection, segment } from './connection.ts';
import type { PathKind } from './container-files.ts';
import { exactContainer } from './exact-names.ts';
import { createExec, type ExecSession, type ExecSpec, execJson } from './exec-session.ts';
import { demultiplexer, type Frame } from './multiplexed.ts';
import { list, number, object, text, texts, unexpected } from './shape.ts';

/** A bind mount of an existing container. */
export interface BindMount {
  source: string;
  target: string;
}

export interface HealthcheckRun {
  status: string;
  exitCode: number;
  log: string;
}

export interface LogOptions {
  tail: number | undefined;
  /** Unix time in seconds. */
  since: number | undefined;
  stdout: boolean;
  stderr: boolean;
  timestamps: boolean;
}

export interface PodmanContainers {
  /** @param spec libpod's SpecGenerator @returns the id */
  create(spec: Record<string, unknown>, signal: AbortSignal): Promise<string>;
  /** Also when it runs. */
  start(id: string, signal: AbortSignal): Promise<void>;
  restart(id: string, signal: AbortSignal): Promise<void>;
  /** Also when it does not run. @param timeoutS until it is killed; the container's own when undefined */
  stop(id: string, timeoutS: number | undefined, signal: AbortSignal): Promise<void>;
  remove(id: string, force: boolean, signal: AbortSignal): Promise<void>;
  /** Removes one that was just created, with the volumes that Podman made for it alone. */
  discard(id: string, signal: AbortSignal): Promise<void>;
  /**
   * What lies at a path of its files, as Podman tells it whatever its storage driver. At the path of a volume or a bind
   * Podman looks into that, so what lies under it stays unseen; see `container-files.ts`.
   */
  pathKind(id: string, path: string, signal: AbortSignal): Promise<PathKind>;
  /** Podman's own object. */
  inspect(id: string, signal: AbortSignal): Promise<Record<string, unknown>>;
  /** Runs the check now; Podman waits until it ends. `status` is this run's. */
  healthcheck(id: string, signal: AbortSignal): Promise<HealthcheckRun>;
  /** What it wrote until now, oldest first; `onFrame` returns false when it has enough. */
  logs(
    id: string,
    options: LogOptions,
    onFrame: (frame: Frame) => boolean,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * What it wrote, oldest first, and with `follow` what it writes until it stops or is removed; as fast as `onFrame`
   * takes it. `onOpened` is called before the first.
   */
  streamLogs(
    id: string,
    options: LogOptions & { follow: boolean },
    reader: { onOpened: () => Promise<void>; onFrame: (frame: Frame) => Promise<void> },
    signal: AbortSignal,
  ): Promise<void>;
  /** Makes a program ready to be run with its stdin. */
  createExec(id: string, spec: ExecSpec, signal: AbortSignal): Promise<ExecSession>;
  /** Runs a program until it ends. @returns its exit code; of one that cannot be started 126 or 127 */
  exec(
    id: string,
    spec: ExecSpec,
    onOutput: (bytes: Buffer) => void,
    options: { timeoutMs: number },
    signal: AbortSignal,
  ): Promise<number>;
}

/** Starting, stopping and removing take as long as the container and its disk do; whoever repeats the call joins it. */
const slowMs = 5 * 60_000;

export function podmanContainers(connection: PodmanConnection): PodmanContainers {
  const exact = exactContainer(connection);
  const at = async (id: string, action: string, signal: AbortSignal) =>
    `/containers/${segment(await exact(id, signal))}${action}`;
  const done = [204, 304];
  const inspect = async (id: string, signal: AbortSignal) =>
    object(await connection.libpod({ path: await at(id, '/json', signal) }, signal), 'container');
  return {
    async create(json, signal) {
      const call = { method: 'POST', path: '/containers/create', json, success: [201] } as const;
      return text(object(await connection.libpod(call, signal), 'create')['Id'], 'create.Id');
    },
    async start(id, signal) {
      const path = await at(id, '/start', signal);
      const call = { method: 'POST', path, success: done, timeoutMs: slowMs } as const;
      await connection.libpod(call, signal);
    },
    async restart(id, signal) {
      const path = await at(id, '/restart', signal);
      const call = { method: 'POST', path, success: done, timeoutMs: slowMs } as const;
      await connection.libpod(call, signal);
    },
    async stop(id, timeoutS, signal) {
      const call = {
        method: 'POST',
        path: await at(id, '/stop', signal),
        query: timeoutS === undefined ? {} : { timeout: timeoutS },
        success: done,
        timeoutMs: slowMs + (timeoutS ?? 0) * 1000,
      } as const;
      await connection.libpod(call, signal);
    },
    async remove(id, force, signal) {
      const call = {
        method: 'DELETE',
        path: await at(id, '', signal),
        query: { force },
        success: [200, 204],
        timeoutMs: slowMs,
      } as const;
      await connection.libpod(call, signal);
    },
    async discard(id, signal) {
      const call = {
        method: 'DELETE',
        path: `/containers/${segment(id)}`,
        query: { force: true, v: true },
        success: [200, 204],
        timeoutMs: slowMs,
      } as const;
      await connection.libpod(call, signal);
    },
    async pathKind(id, path, signal) {
      const call = { path: `/containers/${segment(id)}/archive`, query: { path } };
      const { found, headers } = await connection.libpodHead(call, signal);
      return readPathStat(found, headers['x-docker-container-path-stat']);
    },
    inspect,
    async healthcheck(id, signal) {
      const path = await at(id, '/healthcheck', signal);
      const run = object(await connection.libpod({ path, timeoutMs: slowMs }, signal), 'healthcheck');
      // What the check said is not in this answer but in the container's own log of checks, newest last.
      const state = object((await inspect(id, signal))['State'], 'container.State');
      const health = object(state['Health'] ?? state['Healthcheck'] ?? {}, 'container.State.Health');
      const last = list(health['Log'] ?? [], 'container.State.Health.Log').at(-1);
      const said = object(last ?? {}, 'container.State.Health.Log[-1]');
      return {
        status: text(run['Status'], 'healthcheck.Status').toLowerCase(),
        exitCode: number(said['ExitCode'] ?? 0, 'container.State.Health.Log[-1].ExitCode'),
        log: text(said['Output'] ?? '', 'container.State.Health.Log[-1].Output'),
      };
    },
    async logs(id, options, onFrame, signal) {
      const query = logQuery(options, false);
      const read = demultiplexer();
      const onBytes = (bytes: Buffer) => read(bytes).every(onFrame);
      const path = await at(id, '/logs', signal);
      await connection.libpodBytes({ path, query }, onBytes, signal);
    },
    async streamLogs(id, options, { onOpened, onFrame }, signal) {
      const query = logQuery(options, options.follow);
      const read = demultiplexer();
      // Podman says nothing, not even that there is such a container, before there is a line.
      const { Id } = await inspect(id, signal);
      const path = `/containers/${segment(text(Id, 'container.Id'))}/logs`;
      await onOpened();
      const readBody = async (body: AsyncIterable<Buffer>) => {
        for await (const bytes of body) for (const frame of read(bytes)) await onFrame(frame);
      };
      await connection.libpodStream({ path, query }, readBody, signal);
    },
    createExec: async (id, spec, signal) =>
      createExec(connection, await at(id, '/exec', signal), spec, signal),
    async exec(id, spec, onOutput, { timeoutMs }, signal) {
      const { tty } = spec;
      const json = execJson(spec, false);
      const created = await connection.libpod(
        { method: 'POST', path: await at(id, '/exec', signal), json, success: [201] },
        signal,
      );
      const session = `/exec/${segment(text(object(created, 'exec')['Id'], 'exec.Id'))}`;
      const start = {
        method: 'POST',
        path: `${session}/start`,
        json: { Detach: false, Tty: tty },
        timeoutMs,
      } as const;
      const read = demultiplexer();
      const onBytes = (bytes: Buffer) => {
        if (tty) onOutput(bytes);
        else for (const { data } of read(bytes)) onOutput(data);
        return true;
      };
      await connection.libpodBytes(start, onBytes, signal);
      const ended = object(await connection.libpod({ path: `${session}/json` }, signal), 'exec');
      return number(ended['ExitCode'], 'exec.ExitCode');
    },
  };
}

function logQuery({ tail, since, stdout, stderr, timestamps }: LogOptions, follow: boolean) {
  return {
    ...{ stdout, stderr, timestamps, follow },
    ...(tail === undefined ? {} : { tail }),
    ...(since === undefined ? {} : { since: new Date(since * 1000).toISOString() }),
  };
}

/** Go's os.ModeSymlink. */
const symlinkBit = 2 ** 27;

/** Reads the header that describes a path: also a dangling symlink has one, with a 404. @throws VerbError 502 */
function readPathStat(found: boolean, header: string | string[] | undefined): PathKind {
  const at = 'x-docker-container-path-stat';
  if (typeof header !== 'string') {
    if (found) throw unexpected(at);
    return { kind: 'absent' };
  }
  const stat = object(parseHeader(header, at), at);
  const isLink = Math.floor(number(stat['mode'], `${at}.mode`) / symlinkBit) % 2 === 1;
  if (isLink) return { kind: 'link', target: text(stat['linkTarget'], `${at}.linkTarget`) };
  return { kind: found ? 'other' : 'absent' };
}

function parseHeader(base64: string, at: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  } catch {
    throw unexpected(at);
  }
}

/** The annotations in what `inspect` gave. @throws VerbError 502 */
export function annotationsOf(container: Record<string, unknown>): Record<string, string> {
  const config = object(container['Config'] ?? {}, 'container.Config');
  return texts(config['Annotations'], 'container.Config.Annotations');
}

/** The bind mounts in what `inspect` gave. @throws VerbError 502 */
export function bindMounts(container: Record<string, unknown>): BindMount[] {
  return list(container['Mounts'] ?? [], 'container.Mounts').flatMap((entry, index) => {
    const at = `container.Mounts[${index}]`;
    const mount = object(entry, at);
    if (text(mount['Type'], `${at}.Type`) !== 'bind') return [];
    return [
      {
        source: text(mount['Source'], `${at}.Source`),
        target: text(mount['Destination'], `${at}.Destination`),
      },
    ];
  });
}
