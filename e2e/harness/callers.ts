import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { readVerbs } from '@coold/proto';
import { eventually } from './eventually.ts';
import type { Fleet, FleetHost } from './fleet.ts';
import { expectExec, HarnessError } from './provider.ts';

/** A call of a verb, in the form of `command`. */
export interface Command {
  type: string;
  [field: string]: unknown;
}

export type Answer =
  | { ok: true; data: unknown }
  | { ok: false; code: number; message: string; field: string | undefined };

export interface StreamOptions {
  /** Sent once the stream has begun. */
  input?: object[];
  /** The caller disconnects after this many seconds; otherwise it stays until the end. */
  leaveAfterS?: number;
}

/** A way to call a host's verbs. */
export interface Caller {
  call(host: FleetHost, command: Command): Promise<Answer>;
  /** Calls it as a stream. @returns its lines after the beginning @throws HarnessError when its input is refused */
  stream(host: FleetHost, command: Command, options?: StreamOptions): Promise<unknown[]>;
}

const streamClient = fileURLToPath(new URL('../clients/stream.php', import.meta.url));
const streamMs = 90_000;

/** Calls as Laravel does: PHP on the central host, broker.sock, the stream. */
export function laravel(fleet: Fleet): Caller {
  const { host: central } = fleet.central;
  return {
    async call(host, command) {
      const { body } = await fleet.dispatch(host.name, randomUUID(), command);
      if (body.status === 'ok') return { ok: true, data: body.data };
      const { code = 0, message = '', field } = body;
      return { ok: false, code, message, field };
    },
    async stream({ name: hostId }, command, { input, leaveAfterS } = {}) {
      await central.put({ file: streamClient }, '/root/stream.php', 0o644);
      const json = JSON.stringify({ host_id: hostId, request_id: randomUUID(), command });
      const { stdout } = await central.exec(
        [
          ...(['timeout', '--signal=KILL', String(leaveAfterS ?? streamMs / 1000)] as const),
          ...['php', '/root/stream.php', '/run/coolify/broker.sock', json],
          ...(input === undefined ? [] : [ndjson(input)]),
        ],
        { timeoutMs: streamMs },
      );
      const [first, ...lines] = linesOf(stdout) as Record<string, unknown>[];
      if (first?.['status'] !== 'ok') throw new HarnessError(`no stream: ${stdout}`);
      const refused = lines.find(({ input_status: status }) => status !== undefined && status !== 204);
      if (refused !== undefined) throw new HarnessError(`input: ${JSON.stringify(refused)}`);
      return lines.filter(({ input_status: status }) => status === undefined);
    },
  };
}

/** Calls as an operator does: on the host itself with curl, over its REST API on wg0, with the token in /etc/coolify. */
export function operator(): Caller {
  const verbs = readVerbs();
  const prepare = async ({ host, mgmtIp }: FleetHost, { type, ...fields }: Command) => {
    const place = verbs.get(type)?.http;
    if (place === undefined) throw new Error(`${type} has no place on REST`);
    const { path, rest } = fill(place.path, fields);
    const query = place.method === 'GET' ? `?${new URLSearchParams(rest as Record<string, string>)}` : '';
    const token = (await host.get('/etc/coolify/api-token')).toString().trim();
    const curl = ['curl', '-sS', '--header', `Authorization: Bearer ${token}`] as const;
    const withBody = (type: string) => ['--header', `Content-Type: ${type}`, '--data-binary', '@-'];
    const url = `http://${mgmtIp}:8443${path}`;
    const argv = [
      ...(['--request', place.method] as const),
      ...(place.method === 'GET' ? [] : withBody('application/json')),
      `${url}${query}`,
    ] as const;
    return { curl, argv, url, withBody, body: JSON.stringify(rest) };
  };
  return {
    async call(member, command) {
      const { curl, argv, body: input } = await prepare(member, command);
      const said = await expectExec(
        member.host,
        [...curl, '--max-time', '60', '--write-out', '\n%{http_code}', ...argv],
        { input, timeoutMs: 70_000 },
      );
      const lines = said.split('\n');
      const code = Number(lines.pop());
      const body = lines.join('\n');
      if (code === 204) return { ok: true, data: null };
      if (code < 300) return { ok: true, data: readBody(body) };
      const { error, field } = JSON.parse(body) as { error: string; field?: string };
      return { ok: false, code, message: error, field };
    },
    async stream(member, command, { input, leaveAfterS } = {}) {
      const { host } = member;
      const { curl, argv, url, withBody, body } = await prepare(member, command);
      const session = randomUUID();
      const limit = ['--max-time', String(leaveAfterS ?? streamMs / 1000)];
      const streaming = host.exec(
        [...curl, '--no-buffer', ...limit, '--header', `X-Request-Id: ${session}`, ...argv],
        { input: body, timeoutMs: streamMs },
      );
      const bring = [...withBody('application/x-ndjson'), '--write-out', '%{http_code}'];
      const bringInput = async () => {
        const call = [...curl, '--max-time', '60', ...bring, `${url}/${session}/input`] as const;
        const said = await expectExec(host, call, { input: ndjson(input ?? []) });
        if (said === '204') return true;
        // The stream is not open yet. Other errors would not go away.
        if (!said.endsWith('404')) throw new HarnessError(`input: ${said}`);
        return undefined;
      };
      if (input !== undefined)
        await eventually('the session to take its input', bringInput, { timeoutMs: 30_000 });
      return linesOf((await streaming).stdout);
    },
  };
}

function ndjson(values: readonly object[]): string {
  return values.map(value => `${JSON.stringify(value)}\n`).join('');
}

/** Returns the complete lines. */
function linesOf(text: string): unknown[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as unknown);
}

/** Fills fields into a path's parameters. */
function fill(template: string, fields: Record<string, unknown>) {
  const rest = { ...fields };
  const path = template.replaceAll(/\{([^}]*)\}/g, (_, name: string) => {
    const value = String(rest[name]);
    delete rest[name];
    return encodeURIComponent(value);
  });
  return { path, rest };
}

/** Parses JSON, or turns the lines of a stream into the answer of a plain dispatch. */
function readBody(body: string): unknown {
  const lines = body.split('\n').filter(line => line !== '');
  if (lines.length <= 1 && !body.startsWith('{"stream"') && !body.startsWith('{"exit_code"'))
    return JSON.parse(body);
  const frames = lines.map(line => JSON.parse(line) as { data?: string; exit_code?: number });
  const output = frames.map(({ data = '' }) => data).join('');
  return { exit_code: frames.at(-1)?.exit_code, output, truncated: false };
}
