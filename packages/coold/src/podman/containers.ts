import { parseJson } from '@coold/runtime';
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
  /** Starts a container; succeeds when it runs already. */
  start(id: string, signal: AbortSignal): Promise<void>;
  /** Restarts a container. @param timeoutS seconds until it is killed. undefined: the container's own */
  restart(id: string, timeoutS: number | undefined, signal: AbortSignal): Promise<void>;
  /** Stops a container; succeeds when it does not run. @param timeoutS seconds until it is killed. undefined: the container's own */
  stop(id: string, timeoutS: number | undefined, signal: AbortSignal): Promise<void>;
  /** Removes a container. @param timeoutS with force, seconds until it is killed. undefined: the container's own */
  remove(id: string, force: boolean, signal: AbortSignal, timeoutS?: number): Promise<void>;
  /** Removes a container that was just created, with its anonymous volumes. */
  discard(id: string, signal: AbortSignal): Promise<void>;
  /**
   * Returns the kind of file at a path in a container, for every storage driver. At the path of a volume or a bind mount,
   * Podman looks into the mount, so the file below it stays hidden; see `container-files.ts`.
   */
  pathKind(id: string, path: string, signal: AbortSignal): Promise<PathKind>;
  /** Returns Podman's own object. @throws VerbError 404 */
  inspect(id: string, signal: AbortSignal): Promise<Record<string, unknown>>;
  /** Runs the healthcheck now and waits for its end. `status` is that of this run. */
  healthcheck(id: string, signal: AbortSignal): Promise<HealthcheckRun>;
  /** Reads the output until now, oldest first. `onFrame` returns false to end the call. */
  logs(
    id: string,
    options: LogOptions,
    onFrame: (frame: Frame) => boolean,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Reads the output, oldest first, and with `follow` further output until the container stops or is removed, as fast as
   * `onFrame` resolves. `onOpened` is called before the first frame.
   */
  streamLogs(
    id: string,
    options: LogOptions & { follow: boolean },
    reader: { onOpened: () => Promise<void>; onFrame: (frame: Frame) => Promise<void> },
    signal: AbortSignal,
  ): Promise<void>;
  /** Creates a program that can be started with its stdin. */
  createExec(id: string, spec: ExecSpec, signal: AbortSignal): Promise<ExecSession>;
  /** Runs a program to its end. @returns the exit code, 126 or 127 for a program that cannot be started */
  exec(
    id: string,
    spec: ExecSpec,
    onOutput: (bytes: Buffer) => void,
    options: { timeoutMs: number },
    signal: AbortSignal,
  ): Promise<number>;
}

/** The timeout of starting, stopping and removing, in ms: they take as long as the container and its disk need. A repeated call joins the one that runs. */
const slowMs = 5 * 60_000;

const killAfter = (timeoutS: number | undefined) => (timeoutS === undefined ? {} : { timeout: timeoutS });

/** How the calls below reach a container. */
interface Access {
  connection: PodmanConnection;
  /** Returns the path of a call for a container. @throws VerbError 404 for a name that is not exact */
  at(id: string, action: string, signal: AbortSignal): Promise<string>;
  inspect: PodmanContainers['inspect'];
}

export function podmanContainers(connection: PodmanConnection): PodmanContainers {
  const exact = exactContainer(connection);
  const at: Access['at'] = async (id, action, signal) =>
    `/containers/${segment(await exact(id, signal))}${action}`;
  const inspect: Access['inspect'] = async (id, signal) =>
    object(await connection.libpod({ path: await at(id, '/json', signal) }, signal), 'container');
  const access: Access = { connection, at, inspect };
  return { inspect, ...lifecycle(access), ...looks(access), ...output(access), ...programs(access) };
}

const done = [204, 304];

function lifecycle({
  connection,
  at,
}: Access): Pick<PodmanContainers, 'create' | 'start' | 'restart' | 'stop' | 'remove' | 'discard'> {
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
    async restart(id, timeoutS, signal) {
      const call = {
        method: 'POST',
        path: await at(id, '/restart', signal),
        query: killAfter(timeoutS),
        success: done,
        timeoutMs: slowMs + (timeoutS ?? 0) * 1000,
      } as const;
      await connection.libpod(call, signal);
    },
    async stop(id, timeoutS, signal) {
      const call = {
        method: 'POST',
        path: await at(id, '/stop', signal),
        query: killAfter(timeoutS),
        success: done,
        timeoutMs: slowMs + (timeoutS ?? 0) * 1000,
      } as const;
      await connection.libpod(call, signal);
    },
    async remove(id, force, signal, timeoutS) {
      const call = {
        method: 'DELETE',
        path: await at(id, '', signal),
        query: { force, ...killAfter(timeoutS) },
        success: [200, 204],
        timeoutMs: slowMs + (timeoutS ?? 0) * 1000,
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
  };
}

function looks({ connection, at, inspect }: Access): Pick<PodmanContainers, 'pathKind' | 'healthcheck'> {
  return {
    async pathKind(id, path, signal) {
      const call = { path: `/containers/${segment(id)}/archive`, query: { path } };
      const { found, headers } = await connection.libpodHead(call, signal);
      return readPathStat(found, headers['x-docker-container-path-stat']);
    },
    async healthcheck(id, signal) {
      const path = await at(id, '/healthcheck', signal);
      const run = object(await connection.libpod({ path, timeoutMs: slowMs }, signal), 'healthcheck');
      // This answer does not contain the check's output. The container's own log of checks does, newest last.
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
  };
}

function output({ connection, at, inspect }: Access): Pick<PodmanContainers, 'logs' | 'streamLogs'> {
  return {
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
      // Podman sends nothing, not even the status, before there is a line.
      const { Id } = await inspect(id, signal);
      const path = `/containers/${segment(text(Id, 'container.Id'))}/logs`;
      await onOpened();
      const readBody = async (body: AsyncIterable<Buffer>) => {
        for await (const bytes of body) for (const frame of read(bytes)) await onFrame(frame);
      };
      await connection.libpodStream({ path, query }, readBody, signal);
    },
  };
}

function programs({ connection, at }: Access): Pick<PodmanContainers, 'createExec' | 'exec'> {
  return {
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
    stdout,
    stderr,
    timestamps,
    follow,
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
  const stat = object(parseJson(Buffer.from(header, 'base64').toString('utf8')), at);
  const isLink = Math.floor(number(stat['mode'], `${at}.mode`) / symlinkBit) % 2 === 1;
  if (isLink) return { kind: 'link', target: text(stat['linkTarget'], `${at}.linkTarget`) };
  return { kind: found ? 'other' : 'absent' };
}

/** Reads the annotations from the answer of `inspect`. @throws VerbError 502 */
export function annotationsOf(container: Record<string, unknown>): Record<string, string> {
  const config = object(container['Config'] ?? {}, 'container.Config');
  return texts(config['Annotations'], 'container.Config.Annotations');
}

/** Reads the bind mounts from the answer of `inspect`. @throws VerbError 502 */
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
