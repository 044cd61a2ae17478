import { readFileSync } from 'node:fs';

/** What the agent is told by its configuration file: of Corrosion's own, the part that a host of the mesh uses. */
export interface AgentConfig {
  dbPath: string;
  schemaPaths: string[];
  gossip: Endpoint;
  /** Other agents' gossip addresses. */
  bootstrap: Endpoint[];
  api: Endpoint;
  bearerToken: string | undefined;
}

export interface Endpoint {
  host: string;
  port: number;
}

type TomlValue = string | number | boolean | string[];

/** Reads the file. @throws Error naming the file and what is wrong with it */
export function readAgentConfig(path: string): AgentConfig {
  try {
    return parseAgentConfig(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Pure. Settings it does not know are ignored, since Corrosion has many more. */
export function parseAgentConfig(text: string): AgentConfig {
  const values = parseToml(text);
  const string = (key: string) => {
    const value = values.get(key);
    if (typeof value !== 'string') throw new Error(`${key}: expected a string`);
    return value;
  };
  const strings = (key: string) => {
    const value = values.get(key) ?? [];
    if (!Array.isArray(value)) throw new Error(`${key}: expected a list of strings`);
    return value;
  };
  return {
    dbPath: string('db.path'),
    schemaPaths: strings('db.schema_paths'),
    gossip: endpoint('gossip.addr', string('gossip.addr')),
    bootstrap: strings('gossip.bootstrap').map(text => endpoint('gossip.bootstrap', text)),
    api: endpoint('api.addr', string('api.addr')),
    bearerToken: values.has('api.authz.bearer-token') ? string('api.authz.bearer-token') : undefined,
  };
}

/** The tables, strings, numbers, booleans and lists of strings of TOML; each value under its dotted name. */
function parseToml(text: string): Map<string, TomlValue> {
  const values = new Map<string, TomlValue>();
  let table = '';
  for (const [number, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[([\w.-]+)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      table = `${header}.`;
      continue;
    }
    const [, key, written] = /^([\w.-]+)\s*=\s*(.+)$/.exec(line) ?? [];
    if (key === undefined || written === undefined)
      throw new Error(`line ${number + 1}: expected key = value`);
    values.set(table + key, tomlValue(written, number + 1));
  }
  return values;
}

function tomlValue(written: string, line: number): TomlValue {
  try {
    // Of TOML's notation this part is also JSON's.
    const value: unknown = JSON.parse(written);
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
    if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value;
  } catch {
    // Told below, with the line.
  }
  throw new Error(`line ${line}: expected a string, number, boolean or list of strings on one line`);
}

function endpoint(key: string, text: string): Endpoint {
  const [, host, port] = /^([\w.-]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535)
    throw new Error(`${key}: expected ADDRESS:PORT, not "${text}"`);
  return { host, port: Number(port) };
}
