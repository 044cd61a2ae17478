import { randomUUID } from 'node:crypto';
import { readVerbs } from '@coold/proto';
import type { Fleet, FleetHost } from './fleet.ts';
import { expectExec } from './provider.ts';

/** What a verb is called with, as `command` has it. */
export interface Command {
  type: string;
  [field: string]: unknown;
}

export type Answer =
  | { ok: true; data: unknown }
  | { ok: false; code: number; message: string; field: string | undefined };

/** One way to call the verbs of a host. */
export interface Caller {
  name: string;
  call(host: FleetHost, command: Command): Promise<Answer>;
}

/** Laravel's way: PHP on the central host, broker.sock, the stream. */
export function laravel(fleet: Fleet): Caller {
  return {
    name: 'PHP over broker.sock',
    async call(host, command) {
      const { body } = await fleet.dispatch(host.name, randomUUID(), command);
      if (body.status === 'ok') return { ok: true, data: body.data };
      const { code = 0, message = '', field } = body;
      return { ok: false, code, message, field };
    },
  };
}

/** The operator's way: on the host itself, curl, its REST API on wg0 with the token that is in its /etc/coolify. */
export function operator(): Caller {
  const verbs = readVerbs();
  return {
    name: 'curl over REST',
    async call({ host, mgmtIp }, { type, ...fields }) {
      const place = verbs.get(type)?.http;
      if (place === undefined) throw new Error(`${type} has no place on REST`);
      const { path, rest } = fill(place.path, fields);
      const query = place.method === 'GET' ? `?${new URLSearchParams(rest as Record<string, string>)}` : '';
      const token = (await host.get('/etc/coolify/api-token')).toString().trim();
      const said = await expectExec(
        host,
        [
          ...(['curl', '-sS', '--max-time', '60', '--request', place.method] as const),
          ...['--header', `Authorization: Bearer ${token}`, '--write-out', '\n%{http_code}'],
          ...(place.method === 'GET'
            ? []
            : ['--header', 'Content-Type: application/json', '--data-binary', '@-']),
          `http://${mgmtIp}:8443${path}${query}`,
        ],
        { input: JSON.stringify(rest), timeoutMs: 70_000 },
      );
      const lines = said.split('\n');
      const code = Number(lines.pop());
      const body = lines.join('\n');
      if (code === 204) return { ok: true, data: null };
      if (code < 300) return { ok: true, data: readBody(body) };
      const { error, field } = JSON.parse(body) as { error: string; field?: string };
      return { ok: false, code, message: error, field };
    },
  };
}

/** Puts the fields that a path names into it. */
function fill(template: string, fields: Record<string, unknown>) {
  const rest = { ...fields };
  const path = template.replaceAll(/\{([^}]*)\}/g, (_, name: string) => {
    const value = String(rest[name]);
    delete rest[name];
    return encodeURIComponent(value);
  });
  return { path, rest };
}

/** JSON, or the lines of a stream brought into the form that a plain dispatch has them in. */
function readBody(body: string): unknown {
  const lines = body.split('\n').filter(line => line !== '');
  if (lines.length <= 1 && !body.startsWith('{"stream"') && !body.startsWith('{"exit_code"'))
    return JSON.parse(body);
  const frames = lines.map(line => JSON.parse(line) as { data?: string; exit_code?: number });
  const output = frames.map(({ data = '' }) => data).join('');
  return { exit_code: frames.at(-1)?.exit_code, output, truncated: false };
}
