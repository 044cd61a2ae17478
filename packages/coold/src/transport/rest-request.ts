import type { Message } from '@bufbuild/protobuf';
import { FieldError } from '@coold/proto';
import { isObject } from '@coold/runtime';
import type { RequestShape } from './rest-route.ts';

/** An HTTP request: path parameters decoded once, the query undecoded, the body parsed as JSON. */
export interface RestRequest {
  params: Readonly<Record<string, string | undefined>>;
  /** Without the question mark. */
  query: string;
  /** Undefined when there was no body. */
  body: unknown;
}

/**
 * Builds a verb's request message: some fields come from the path, the others from the body; on GET and DELETE from the
 * query when there is no body. Pure.
 *
 * @throws FieldError naming the invalid field
 */
export function readRestRequest(shape: RequestShape, { params, query, body }: RestRequest): Message {
  const given = new Map<string, unknown>();
  for (const name of shape.pathFields) {
    const value = params[name];
    if (value === undefined || value === '') throw new FieldError(name, 'expected text in the path');
    given.set(name, value);
  }
  const inQuery = queryPairs(query);
  const [stray] = inQuery.keys();
  if (stray !== undefined && (shape.method === 'POST' || body !== undefined))
    throw new FieldError(stray, 'belongs into the body of this request, not into its query');
  if (body === undefined) readQuery(shape, inQuery, given);
  else readBody(shape, body, given);
  return shape.codec.decode(Object.fromEntries(given));
}

function readBody(shape: RequestShape, body: unknown, given: Map<string, unknown>): void {
  // PHP writes a body without fields as an empty list.
  if (Array.isArray(body) && body.length === 0) return;
  if (!isObject(body)) throw new FieldError('body', 'expected an object');
  for (const [name, value] of Object.entries(body)) {
    if (shape.pathFields.has(name)) throw new FieldError(name, 'is given by the path');
    given.set(name, value);
  }
}

function readQuery(shape: RequestShape, pairs: Map<string, string[]>, given: Map<string, unknown>): void {
  for (const [name, texts] of pairs) {
    if (shape.pathFields.has(name)) throw new FieldError(name, 'is given by the path');
    const field = shape.queryFields.get(name);
    if (field === undefined) throw new FieldError(name, 'is not a field of this request');
    const values = texts.map((text, index) => {
      const value = field.read?.(text);
      if (value === undefined)
        throw new FieldError(field.repeated ? `${name}[${index}]` : name, `expected ${field.expected}`);
      return value;
    });
    if (!field.repeated && values.length > 1) throw new FieldError(name, 'is given more than once');
    given.set(name, field.repeated ? values : values[0]);
  }
}

function queryPairs(query: string): Map<string, string[]> {
  const pairs = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const [name = '', ...value] = pair.split('=');
    const key = decode(name);
    pairs.set(key, [...(pairs.get(key) ?? []), decode(value.join('='))]);
  }
  return pairs;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new FieldError('query', 'is not percent-encoded UTF-8');
  }
}
