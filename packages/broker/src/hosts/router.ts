import type { Message } from '@bufbuild/protobuf';
import { type Failure, failure, type Refusal } from '@coold/errors';
import {
  defaultBodyBytes,
  FieldError,
  type JsonCodec,
  jsonCodec,
  SCHEMA_MAX,
  SCHEMA_MIN,
  type Verb,
} from '@coold/proto';

/** A parsed `POST /v1/coold/dispatch`, before its host is looked up. */
export interface DispatchRequest {
  requestId: string;
  hostId: string;
  verb: Verb;
  message: Message;
}

/** A verb with its request codec compiled. */
export interface Route {
  verb: Verb;
  codec: JsonCodec;
}

export function compileRoutes(verbs: ReadonlyMap<string, Verb>): ReadonlyMap<string, Route> {
  return new Map([...verbs].map(([name, verb]) => [name, { verb, codec: jsonCodec(verb.request) }]));
}

/** The form of a build's id, which becomes a unit name and a folder name (docs/contract.md §2). */
export const buildIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
export const buildIdExpected =
  'expected 1 to 128 of letters, digits, "_", "." and "-", beginning with a letter or digit';
/** The form of all other ids. */
export const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;
export const requestIdExpected =
  'expected 1 to 128 of letters, digits, "_", ".", ":" and "-", beginning with a letter or digit';
export const maxHostIdLength = 128;
const bodyFields = new Set(['host_id', 'request_id', 'command']);

/** The longest body of a verb's dispatch, in bytes; the same as on REST (docs/contract.md §3). */
const bodyLimit = ({ verb }: Route) => verb.http?.maxBodyBytes ?? defaultBodyBytes;

/** The longest body of any verb: a longer one is refused without reading more. */
export function largestBody(routes: ReadonlyMap<string, Route>): number {
  return Math.max(defaultBodyBytes, ...[...routes.values()].map(bodyLimit));
}

/** Returns the longest body that names this verb, or no verb, in bytes. */
function limitOf(body: unknown, routes: ReadonlyMap<string, Route>): number {
  const type = isObject(body) && isObject(body['command']) ? body['command']['type'] : undefined;
  const route = typeof type === 'string' ? routes.get(type) : undefined;
  return route === undefined ? defaultBodyBytes : bodyLimit(route);
}

/** Reads the body of a dispatch. Pure. @param bytes its length on the wire */
export function readDispatch(
  body: unknown,
  routes: ReadonlyMap<string, Route>,
  bytes = 0,
): DispatchRequest | Refusal {
  const limit = limitOf(body, routes);
  if (bytes > limit)
    return {
      requestId: readableId(body),
      ...failure('body_too_large', `body: expected at most ${limit} bytes`),
    };
  if (!isObject(body)) return refusal('', 'body', 'expected an object');
  const { request_id: requestId, host_id: hostId, command } = body;
  if (typeof requestId !== 'string' || !requestIdPattern.test(requestId))
    return refusal('', 'request_id', requestIdExpected);
  if (typeof hostId !== 'string' || hostId === '' || hostId.length > maxHostIdLength)
    return refusal(requestId, 'host_id', `expected text of 1 to ${maxHostIdLength} characters`);
  if (!isObject(command)) return refusal(requestId, 'command', 'expected an object');
  const { type, ...fields } = command;
  if (typeof type !== 'string') return refusal(requestId, 'command.type', 'expected the name of a verb');
  const route = routes.get(type);
  if (route === undefined)
    return refusal(requestId, 'command.type', `no verb is named ${JSON.stringify(type.slice(0, 100))}`);
  try {
    return { requestId, hostId, verb: route.verb, message: route.codec.decode(fields) };
  } catch (error) {
    if (error instanceof FieldError)
      return { requestId, ...failure('invalid_request', error.message, error.field) };
    throw error;
  }
}

/** Whether a verb may be sent to a host: not above the schema that the host speaks (docs/contract.md §1). */
export function refuseSchema(
  verb: Pick<Verb, 'name' | 'schema'>,
  host: { hostId: string; schemaMax: number },
): Failure | undefined {
  if (verb.schema <= host.schemaMax) return undefined;
  const message = `${verb.name} needs schema ${verb.schema}, host ${host.hostId} speaks up to ${host.schemaMax}`;
  return failure('host_too_old', message, 'command.type');
}

/** Whether a verb's answer can be a stream. */
export function refuseUnstreamed(verb: Verb, routes: ReadonlyMap<string, Route>): string | undefined {
  if (verb.streams) return undefined;
  const streamed = [...routes.values()].filter(route => route.verb.streams).map(route => route.verb.name);
  const expected = [streamed.slice(0, -1).join(', '), ...streamed.slice(-1)].filter(part => part !== '');
  return `command.type: ${verb.name} does not stream; expected ${expected.join(' or ')}`;
}

/** Whether the broker can speak to a host with these schemas. 0 means that the host did not say: schema 1. */
export function refuseHello(hello: { schemaMin: number; schemaMax: number }): string | undefined {
  const min = hello.schemaMin || 1;
  const max = hello.schemaMax || 1;
  if (min > max) return `schema_min ${min} is above schema_max ${max}`;
  if (min > SCHEMA_MAX || max < SCHEMA_MIN)
    return `host speaks schema ${min} to ${max}, this broker ${SCHEMA_MIN} to ${SCHEMA_MAX}`;
  return undefined;
}

function refusal(requestId: string, field: string, expected: string): Refusal {
  return { requestId, ...failure('invalid_request', `${field}: ${expected}`, field) };
}

/** Returns the request_id of a body that is refused for another reason; empty when it has no valid one. */
export function readableId(body: unknown): string {
  const id = isObject(body) ? body['request_id'] : undefined;
  return typeof id === 'string' && requestIdPattern.test(id) ? id : '';
}

/** Returns the unknown keys of a body, which are ignored (docs/contract.md §2). */
export function ignoredFields(body: unknown): string[] {
  return isObject(body) ? Object.keys(body).filter(key => !bodyFields.has(key)) : [];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
