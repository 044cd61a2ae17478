import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { type HttpPlace, type JsonCodec, jsonCodec } from '@coold/proto';
import type { Served } from '../verbs/surface.ts';

/** A verb with its place in the REST API, and how its requests are read. */
export interface RestRoute extends Served {
  place: HttpPlace;
  request: RequestShape;
}

/** How a request is read. */
export interface RequestShape {
  method: HttpPlace['method'];
  /** Fields that the path names. */
  pathFields: ReadonlySet<string>;
  /** Every other field, with how its text in a query is parsed. */
  queryFields: ReadonlyMap<string, QueryField>;
  codec: JsonCodec;
}

export interface QueryField {
  repeated: boolean;
  /**
   * Parses a text into what JSON would have; undefined when it is not one of `expected`. Absent when only a body can
   * carry the field.
   */
  read?: (text: string) => unknown;
  expected: string;
}

/** Returns the verbs that have a place in the REST API. */
export function restRoutes(surface: ReadonlyMap<string, Served>): RestRoute[] {
  return [...surface.values()].flatMap(served => {
    const { verb } = served;
    return verb.http === undefined
      ? []
      : [{ ...served, place: verb.http, request: requestShape(verb.http, verb.request) }];
  });
}

export function requestShape({ method, pathFields }: HttpPlace, request: DescMessage): RequestShape {
  const others = request.fields.filter(({ name }) => !pathFields.includes(name));
  return {
    method,
    pathFields: new Set(pathFields),
    queryFields: new Map(others.map(field => [field.name, queryField(field)])),
    codec: jsonCodec(request),
  };
}

/** Returns the path for a stream's input; undefined when it takes none. */
export function inputPath({ verb, place }: Pick<RestRoute, 'verb' | 'place'>): string | undefined {
  return verb.takesInput ? `${place.path}/{session}/input` : undefined;
}

/** Returns the methods that verbs have on a percent-encoded path; empty when there is no verb. */
export function methodsOn(routes: readonly RestRoute[], path: string): string[] {
  const segments = path.split('/');
  const fits = (path: string) => {
    const template = path.split('/');
    return (
      template.length === segments.length &&
      template.every((part, index) => part.startsWith('{') || part === segments[index])
    );
  };
  const methods = routes.flatMap(route => {
    const input = inputPath(route);
    return [
      ...(fits(route.place.path) ? [route.place.method] : []),
      ...(input !== undefined && fits(input) ? ['POST'] : []),
    ];
  });
  return [...new Set(methods)].sort();
}

function queryField(field: DescField): QueryField {
  switch (field.fieldKind) {
    case 'scalar':
      return { repeated: false, ...scalar(field.scalar) };
    case 'enum':
      return { repeated: false, read: asText, expected: 'text' };
    case 'list':
      switch (field.listKind) {
        case 'scalar':
          return { repeated: true, ...scalar(field.scalar) };
        case 'enum':
          return { repeated: true, read: asText, expected: 'text' };
      }
  }
  return { repeated: false, expected: 'a JSON body: a query cannot carry it' };
}

const asText = (text: string) => text;

function scalar(type: ScalarType): Omit<QueryField, 'repeated'> {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return { read: asText, expected: 'text' };
    case ScalarType.BOOL:
      return { read: text => booleans.get(text), expected: 'true, false, 1 or 0' };
    // The codec checks the bounds of each type.
    default:
      return { read: text => (decimal.test(text) ? Number(text) : undefined), expected: 'a number' };
  }
}

const booleans = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);
const decimal = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
