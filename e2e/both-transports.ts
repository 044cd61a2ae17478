// Sends one request over both transports: broker.sock and REST.
import type { Verb } from '@coold/proto';
import { streamedCall } from '@coold/testbed';
import { type Agent, request } from 'undici';
import type { Stack } from './stack.ts';

/** What a caller learns, apart from the transport's form. */
export type Outcome =
  | { data: unknown }
  | { code: unknown; reason: unknown; message: unknown; field: unknown };

export type RestVerb = Verb & { http: NonNullable<Verb['http']> };
/** The output of a stream, and what became of its input. */
export interface Streamed {
  said: Outcome;
  input: Outcome | undefined;
}

export interface Transports {
  overStream(name: string, fields: Record<string, unknown>): Promise<Outcome>;
  overRest(verb: RestVerb, fields: Record<string, unknown>): Promise<Outcome>;
  /** @param input lines for its input call, sent once it has begun; when they are refused, the caller hangs up */
  streamOverLane(name: string, fields: Record<string, unknown>, input?: object[]): Promise<Streamed>;
  streamOverRest(verb: RestVerb, fields: Record<string, unknown>, input?: object[]): Promise<Streamed>;
}

/** Returns functions that call a host over either transport. @param origin of the REST API */
export function transportsTo(stack: Stack, origin: string, agent: Agent): Transports {
  let requests = 0;
  async function overStream(name: string, fields: Record<string, unknown>): Promise<Outcome> {
    requests += 1;
    const answer = await stack.dispatch(`e-${requests}`, { type: name, ...fields });
    const { status, data, ...error } = answer.json() as Record<string, unknown>;
    return status === 'ok' ? { data } : laneError(error);
  }

  async function overRest(verb: RestVerb, fields: Record<string, unknown>): Promise<Outcome> {
    const { streams, http } = verb;
    const answer = await askRest(verb, fields);
    const text = await answer.body.text();
    const { statusCode } = answer;
    if (statusCode === http.status && verb.lines) return { data: linesOf(text) };
    if (statusCode === http.status && streams) return { data: collected(text) };
    if (statusCode === http.status)
      return { data: statusCode === 204 && text === '' ? null : JSON.parse(text) };
    return restError(statusCode, text);
  }

  function askRest({ http }: RestVerb, fields: Record<string, unknown>) {
    const { method, path, pathFields } = http;
    const at = path.replaceAll(/\{([^}]*)\}/g, (_, name: string) => encodeURIComponent(String(fields[name])));
    const rest = Object.entries(fields).filter(([name]) => !pathFields.includes(name));
    const query = new URLSearchParams(rest.map(([name, value]) => [name, String(value)]));
    return request(`${origin}${at}${method === 'POST' || rest.length === 0 ? '' : `?${query}`}`, {
      dispatcher: agent,
      method,
      headers: {
        authorization: `Bearer ${stack.pairing.apiToken}`,
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      },
      body: method === 'POST' ? JSON.stringify(Object.fromEntries(rest)) : null,
    });
  }

  async function streamOverLane(
    name: string,
    fields: Record<string, unknown>,
    input?: object[],
  ): Promise<Streamed> {
    requests += 1;
    const { socketPath, hostId } = stack.pairing;
    const requestId = `s-${requests}`;
    const json = { host_id: hostId, request_id: requestId, command: { type: name, ...fields } };
    using call = streamedCall({ socketPath, path: '/v1/coold/stream', json });
    const first = (await call.next()) as Record<string, unknown>;
    if (first['status'] !== 'ok') return { said: laneError(first), input: undefined };
    if (input === undefined) return { said: { data: joined(await call.rest()) }, input };
    using bringing = streamedCall({ socketPath, path: `/v1/coold/stream/${requestId}/input` });
    for (const line of input) await bringing.write(line);
    bringing.end();
    if ((await bringing.answered).status === 204)
      return { said: { data: joined(await call.rest()) }, input: { data: null } };
    return { said: { data: null }, input: laneError((await bringing.next()) as Record<string, unknown>) };
  }

  async function streamOverRest(
    verb: RestVerb,
    fields: Record<string, unknown>,
    input?: object[],
  ): Promise<Streamed> {
    const answer = await askRest(verb, fields);
    if (answer.statusCode !== 200)
      return { said: restError(answer.statusCode, await answer.body.text()), input: undefined };
    const lines = async () => {
      const text = await answer.body.text();
      return joined(text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line) as unknown])));
    };
    if (input === undefined) return { said: { data: await lines() }, input };
    const at = verb.http.path.replaceAll(/\{([^}]*)\}/g, (_, name: string) => String(fields[name]));
    const brought = await request(`${origin}${at}/${String(answer.headers['x-exec-session'])}/input`, {
      dispatcher: agent,
      method: 'POST',
      headers: { authorization: `Bearer ${stack.pairing.apiToken}`, 'content-type': 'application/x-ndjson' },
      body: input.map(line => `${JSON.stringify(line)}\n`).join(''),
    });
    const text = await brought.body.text();
    if (brought.statusCode === 204) return { said: { data: await lines() }, input: { data: null } };
    answer.body.destroy();
    return { said: { data: null }, input: restError(brought.statusCode, text) };
  }

  /**
   * The output of a stream in the form of a plain dispatch's answer. Where output is cut into lines depends on the
   * pipes it went through; the order within one source does not.
   */
  return { overStream, overRest, streamOverLane, streamOverRest };
}

function restError(code: number, text: string): Outcome {
  const { error, reason, field } = JSON.parse(text) as Record<string, unknown>;
  return { code, reason, message: error, field };
}

function laneError({ code, reason, message, field }: Record<string, unknown>): Outcome {
  return { code, reason, message, field };
}

function joined(lines: unknown[]): unknown {
  const output: Record<string, Buffer> = {};
  const others: unknown[] = [];
  for (const line of lines) {
    const { stream, data, encoding, ...rest } = line as {
      stream?: string;
      data?: string;
      encoding?: 'base64';
    };
    if (stream === undefined || data === undefined || Object.keys(rest).length > 0) others.push(line);
    else output[stream] = Buffer.concat([output[stream] ?? Buffer.alloc(0), Buffer.from(data, encoding)]);
  }
  return { output, others };
}

function linesOf(ndjson: string): Record<string, unknown>[] {
  const lines = ndjson.split('\n').slice(0, -1);
  return lines.map(line => JSON.parse(line) as Record<string, unknown>);
}

function collected(ndjson: string): unknown {
  const said = linesOf(ndjson);
  const { exit_code } = said.at(-1) ?? {};
  if (exit_code === undefined) return { frames: said, truncated: false };
  return { exit_code, output: said.map(({ data }) => data ?? '').join(''), truncated: false };
}
