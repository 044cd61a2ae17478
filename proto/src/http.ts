import { type DescMessage, ScalarType } from '@bufbuild/protobuf';
import type { Http } from '../gen/coolify/agent/v1/verb_pb.js';

/** A verb's place on REST, as its option says and its messages allow. */
export interface HttpPlace {
  method: 'GET' | 'POST' | 'DELETE';
  /** Template: `/api/v1/containers/{id}/start`. */
  path: string;
  status: 200 | 201 | 204;
  /** Fields of the request that the path names, in order. */
  pathFields: readonly string[];
  /** Bytes that the body of a request may have. */
  maxBodyBytes: number;
}

/** What a request's body may have where its verb does not say otherwise, in bytes. */
export const defaultBodyBytes = 2 * 1024 * 1024;

const methods = ['GET', 'POST', 'DELETE'] as const;
const statuses = [200, 201, 204] as const;
const parameter = /^\{([a-z][a-z0-9_]*)\}$/;
const literal = /^[A-Za-z0-9_.-]+$/;

/** @throws Error when the option contradicts the messages; its text goes behind the field's name */
export function readHttp(
  option: Pick<Http, 'method' | 'path' | 'status'> & Partial<Pick<Http, 'maxBody'>>,
  request: DescMessage,
  response: DescMessage,
): HttpPlace {
  const method = methods.find(known => known === option.method);
  if (method === undefined)
    throw new Error(`http method "${option.method}": expected one of ${methods.join(', ')}`);
  const status = statuses.find(known => known === option.status);
  if (status === undefined)
    throw new Error(`http status ${option.status}: expected one of ${statuses.join(', ')}`);
  if ((status === 204) !== (response.fields.length === 0))
    throw new Error(
      `http status ${status}: 204 is the status of an answer without fields, and of no other; ${response.typeName} has ${response.fields.length}`,
    );
  const [beginning, ...segments] = option.path.split('/');
  const broken = segments.find(segment => !parameter.test(segment) && !literal.test(segment));
  if (beginning !== '' || segments.length === 0 || broken !== undefined)
    throw new Error(`http path "${option.path}": expected /words/and/{fields}`);
  const pathFields = segments.flatMap(segment => parameter.exec(segment)?.[1] ?? []);
  for (const name of pathFields) {
    const field = request.fields.find(candidate => candidate.name === name);
    if (field?.fieldKind !== 'scalar' || field.scalar !== ScalarType.STRING || field.oneof !== undefined)
      throw new Error(`http path "${option.path}": ${request.typeName} has no string field ${name}`);
    if (pathFields.indexOf(name) !== pathFields.lastIndexOf(name))
      throw new Error(`http path "${option.path}": names ${name} twice`);
  }
  const maxBodyBytes = (option.maxBody ?? 0) === 0 ? defaultBodyBytes : Number(option.maxBody);
  return { method, path: option.path, status, pathFields, maxBodyBytes };
}

/** What two verbs must not have in common: the method, and the path whatever its parameters are called. */
export function routeKey({ method, path }: HttpPlace): string {
  return `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`;
}
