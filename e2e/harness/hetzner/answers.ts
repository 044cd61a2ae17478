import { isIPv4 } from 'node:net';
import { HarnessError } from '../provider.ts';

/** The parts of the Hetzner Cloud API's answers that the harness uses (https://docs.hetzner.cloud/reference/cloud). */
export interface Server {
  id: number;
  name: string;
  /** running, off, initializing, starting, stopping, deleting and others. */
  status: string;
  /** Public IPv4 address; undefined until the server has one. */
  address: string | undefined;
  labels: Record<string, string>;
}

export interface SshKey {
  id: number;
  name: string;
  labels: Record<string, string>;
}

export interface Action {
  id: number;
  command: string;
  status: 'running' | 'success' | 'error';
  /** The reason in one line when the status is error. */
  error: string | undefined;
}

export interface ServerType {
  name: string;
  architecture: string;
  /** In GB. */
  memory: number;
  /** The locations where it is sold and not deprecated, with the hourly price. */
  offers: { location: string; hourlyPrice: number }[];
}

export function readServer(value: unknown): Server {
  const server = object(value, 'server');
  const net = server['public_net'] === undefined ? {} : object(server['public_net'], 'server.public_net');
  const ipv4 =
    net['ipv4'] === undefined || net['ipv4'] === null ? {} : object(net['ipv4'], 'server.public_net.ipv4');
  return {
    id: id(server['id'], 'server.id'),
    name: text(server['name'], 'server.name'),
    status: text(server['status'], 'server.status'),
    address: ipv4['ip'] === undefined ? undefined : address(ipv4['ip'], 'server.public_net.ipv4.ip'),
    labels: labels(server['labels'], 'server.labels'),
  };
}

export function readSshKey(value: unknown): SshKey {
  const key = object(value, 'ssh_key');
  return {
    id: id(key['id'], 'ssh_key.id'),
    name: text(key['name'], 'ssh_key.name'),
    labels: labels(key['labels'], 'ssh_key.labels'),
  };
}

export function readAction(value: unknown): Action {
  const action = object(value, 'action');
  const status = action['status'];
  if (status !== 'running' && status !== 'success' && status !== 'error') throw unexpected('action.status');
  return {
    id: id(action['id'], 'action.id'),
    command: text(action['command'], 'action.command'),
    status,
    error: status === 'error' ? describeError(action['error']) : undefined,
  };
}

export function readServerType(value: unknown): ServerType {
  const type = object(value, 'server_type');
  const locations = type['locations'] === undefined ? [] : array(type['locations'], 'server_type.locations');
  const leaving = new Set(
    locations
      .map(entry => object(entry, 'server_type.locations[]'))
      .filter(entry => isSet(entry['deprecation']))
      .map(entry => text(entry['name'], 'server_type.locations[].name')),
  );
  const offers = array(type['prices'], 'server_type.prices').map(entry => {
    const price = object(entry, 'server_type.prices[]');
    const hourly = object(price['price_hourly'], 'server_type.prices[].price_hourly');
    // Amounts are decimal numbers in strings.
    const hourlyPrice = Number(text(hourly['net'], 'server_type.prices[].price_hourly.net'));
    if (!Number.isFinite(hourlyPrice)) throw unexpected('server_type.prices[].price_hourly.net');
    return { location: text(price['location'], 'server_type.prices[].location'), hourlyPrice };
  });
  const memory = type['memory'];
  if (typeof memory !== 'number') throw unexpected('server_type.memory');
  return {
    name: text(type['name'], 'server_type.name'),
    architecture: text(type['architecture'], 'server_type.architecture'),
    memory,
    offers: isSet(type['deprecation']) ? [] : offers.filter(({ location }) => !leaving.has(location)),
  };
}

/** Reads a page of a list. @returns its entries and the number of the next page */
export function readPage<T>(
  answer: unknown,
  member: string,
  read: (entry: unknown) => T,
): { entries: T[]; next: number | undefined } {
  const body = object(answer, 'the answer');
  const entries = array(body[member], member).map(read);
  if (body['meta'] === undefined) return { entries, next: undefined };
  const pagination = object(object(body['meta'], 'meta')['pagination'], 'meta.pagination');
  const next = pagination['next_page'];
  return { entries, next: isSet(next) ? id(next, 'meta.pagination.next_page') : undefined };
}

/** Reads one member of an answer. */
export function readMember<T>(answer: unknown, member: string, read: (value: unknown) => T): T {
  return read(object(answer, 'the answer')[member]);
}

/** Reads a list in an answer that may be absent. */
export function readMembers<T>(answer: unknown, member: string, read: (value: unknown) => T): T[] {
  const value = object(answer, 'the answer')[member];
  return isSet(value) ? array(value, member).map(read) : [];
}

/** Reads the code and message of an error's body. Both are empty for another body, such as a proxy's page. */
export function readError(body: unknown): { code: string; message: string } {
  const nothing = { code: '', message: '' };
  if (typeof body !== 'object' || body === null || !('error' in body)) return nothing;
  const { error } = body;
  if (typeof error !== 'object' || error === null) return nothing;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const message = 'message' in error && typeof error.message === 'string' ? error.message : '';
  return { code, message: oneLine(message) };
}

function describeError(value: unknown): string {
  const { code, message } = readError({ error: value });
  return `${message || 'no reason given'}${code === '' ? '' : ` (${code})`}`;
}

const oneLine = (message: string) => message.replaceAll(/\s+/g, ' ').trim();

const isSet = (value: unknown) => value !== undefined && value !== null;

function id(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) throw unexpected(at);
  return value;
}

function text(value: unknown, at: string): string {
  if (typeof value !== 'string') throw unexpected(at);
  return value;
}

function address(value: unknown, at: string): string {
  if (typeof value !== 'string' || !isIPv4(value)) throw unexpected(at);
  return value;
}

function array(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw unexpected(at);
  return value;
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unexpected(at);
  return value as Record<string, unknown>;
}

function labels(value: unknown, at: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(isSet(value) ? object(value, at) : {}).map(([key, label]) => [
      key,
      text(label, `${at}.${key}`),
    ]),
  );
}

function unexpected(at: string): HarnessError {
  return new HarnessError(`the Hetzner API's answer is not understood: ${at} is not as documented`);
}
