import { type DescField, type DescMessage, getOption, hasOption } from '@bufbuild/protobuf';
import { ResponseSchema, ServerMsgSchema } from '../gen/coolify/agent/v1/agent_pb.js';
import { verb as verbOption } from '../gen/coolify/agent/v1/verb_pb.js';
import { type Deadline, readDeadline } from './deadline.ts';
import { type HttpPlace, readHttp, routeKey } from './http.ts';

/** A member field of a oneof whose type is a message: how the stream carries a command or an answer. */
export type MessageField = DescField & { fieldKind: 'message' };

/** One verb, as derived from the descriptors. */
export interface Verb {
  /** `command.type`, and what handlers are keyed by. */
  name: string;
  summary: string;
  /** Lowest schema a host must speak to be sent it (docs/contract.md §1: numbers from 200 on are schema 2). */
  schema: number;
  request: DescMessage;
  response: DescMessage;
  /** The oneof members' local names in ServerMsg.command and Response.body; the same by construction. */
  commandCase: string;
  /** The response field that becomes `data`; undefined: the whole message. */
  body: DescField | undefined;
  /** Its place on REST; undefined: over the stream only. */
  http: HttpPlace | undefined;
  /** Its answer can be asked for as a stream of frames. */
  streams: boolean;
  /** Its frames hold JSON objects, a line each, that callers get as they are; they are the items of `body`. */
  lines: boolean;
  /** With streams: the program that it runs takes input, by a call of its own. */
  takesInput: boolean;
  /** A request that is repeated does the work again. */
  worksAnew: boolean;
  /** How long its answer is waited for; undefined: as long as for any. */
  deadline: Deadline | undefined;
}

const firstNumberOfSchema2 = 200;

/**
 * Reads the verb table out of a pair of messages built like ServerMsg and Response.
 *
 * @throws Error when an option contradicts the messages: a mistake in the .proto, found at start.
 */
export function readVerbs(
  commands: DescMessage = ServerMsgSchema,
  answers: DescMessage = ResponseSchema,
): Map<string, Verb> {
  const verbs = new Map<string, Verb>();
  const routes = new Map<string, string>();
  for (const field of commands.fields) {
    if (!hasOption(field, verbOption)) continue;
    const option = getOption(field, verbOption);
    const where = `${commands.typeName}.${field.name}`;
    const answer = answers.fields.find(candidate => candidate.localName === field.localName);
    if (field.fieldKind !== 'message' || field.oneof === undefined)
      throw new Error(`${where}: a verb is a message of a oneof`);
    if (answer?.fieldKind !== 'message' || answer.oneof === undefined)
      throw new Error(`${where}: ${answers.typeName} has no answer of that name`);
    if (option.name === '' || verbs.has(option.name))
      throw new Error(`${where}: verb name "${option.name}" is empty or taken`);
    const body =
      option.body === '' ? undefined : answer.message.fields.find(({ name }) => name === option.body);
    if (option.body !== '' && body === undefined)
      throw new Error(`${where}: ${answer.message.typeName} has no field ${option.body}`);
    const http =
      option.http === undefined
        ? undefined
        : within(where, readHttp, option.http, field.message, answer.message);
    if (option.streams && http !== undefined && http.status !== 200)
      throw new Error(`${where}: a stream is answered 200, not ${http.status}`);
    if (option.lines && !(option.streams && body?.fieldKind === 'list' && body.listKind === 'message'))
      throw new Error(`${where}: lines are a stream of what the list \`body\` holds`);
    if (option.takesInput && !option.streams) throw new Error(`${where}: only a stream takes input`);
    if (http !== undefined) {
      const other = routes.get(routeKey(http));
      if (other !== undefined)
        throw new Error(`${where}: ${http.method} ${http.path} is the route of ${other}`);
      routes.set(routeKey(http), option.name);
    }
    verbs.set(option.name, {
      name: option.name,
      summary: option.summary,
      schema: field.number >= firstNumberOfSchema2 ? 2 : 1,
      request: field.message,
      response: answer.message,
      commandCase: field.localName,
      body,
      http,
      streams: option.streams,
      lines: option.lines,
      takesInput: option.takesInput,
      worksAnew: option.worksAnew,
      deadline:
        option.deadline === undefined
          ? undefined
          : within(where, readDeadline, option.deadline, field.message),
    });
  }
  return verbs;
}

/** Names the place in the .proto that a complaint is about. */
function within<A extends unknown[], R>(where: string, read: (...args: A) => R, ...args: A): R {
  try {
    return read(...args);
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
  }
}
