import type { FunctionDefinitions } from 'node:ffi';
import { loadFfi } from '@coold/runtime/load-ffi';

/** A table of iptables-legacy as the kernel returns it (linux/netfilter_ipv4/ip_tables.h). */
export interface XtTable {
  table: string;
  /** The offset of each hook's chain, by hook number; undefined where the table has none. */
  entries: readonly (number | undefined)[];
  /** The offset of each hook's policy, which follows its last rule. */
  policies: readonly (number | undefined)[];
  /** The rules of all chains, one after another. */
  rules: Buffer;
}

/**
 * Reads a table of this network namespace. The kernel copies it in one piece, so it is consistent. Reading a table that
 * was never used creates it, so only tables listed in `/proc/net/ip_tables_names` may be read.
 *
 * @throws Error when the kernel refuses
 */
export type ReadXtTable = (table: string) => XtTable;

const [internet, rawType, closeOnExec, rawProtocol] = [2, 3, 0x80000, 255];
const ipLevel = 0;
const ask = { info: 64, entries: 65 } as const;
const nameBytes = 32;
const hookCount = 5;
/** Offsets of name, hook mask, chains, policies, number of rules, and size of the rules. */
const info = { bytes: 84, hooks: 32, entries: 36, policies: 56, size: 80 } as const;
/** Name, size, and padding that aligns the rules. */
const headBytes = 40;
/** Far more than hundreds of thousands of rules take. */
const mostBytes = 512 * 1024 * 1024;
/** Attempts, because the table may be replaced between reading its size and reading its rules. */
const attempts = 5;

const signatures = {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  getsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'pointer'], return: 'int32' },
  close: { arguments: ['int32'], return: 'int32' },
} as const satisfies FunctionDefinitions;

/** @returns undefined when this Node cannot call C (docs/decisions/node-ffi.md) */
export function loadXtTables(): ReadXtTable | undefined {
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, signatures);

  /** @returns whether the kernel filled the buffer */
  function fill(fd: number, option: number, memory: ArrayBuffer): boolean {
    const length = Uint32Array.of(memory.byteLength);
    const [bytes, count] = [memory, length.buffer].map(one => ffi?.getRawPointer(one));
    if (bytes === undefined || count === undefined) return false;
    return functions.getsockopt(fd, ipLevel, option, bytes, count) === 0;
  }

  function readOnce(fd: number, table: string): XtTable | undefined {
    const head = new ArrayBuffer(info.bytes);
    const facts = Buffer.from(head);
    facts.write(table, 0, nameBytes - 1, 'latin1');
    if (!fill(fd, ask.info, head)) throw new Error(`the kernel does not give out table ${table}`);
    const size = facts.readUInt32LE(info.size);
    if (size > mostBytes) throw new Error(`table ${table} has ${size} bytes of rules, more than are read`);
    const whole = new ArrayBuffer(headBytes + size);
    const answer = Buffer.from(whole);
    answer.write(table, 0, nameBytes - 1, 'latin1');
    answer.writeUInt32LE(size, nameBytes);
    // The kernel refuses when the table's size has changed.
    if (!fill(fd, ask.entries, whole)) return undefined;
    const after = new ArrayBuffer(info.bytes);
    Buffer.from(after).write(table, 0, nameBytes - 1, 'latin1');
    if (!fill(fd, ask.info, after) || !Buffer.from(after).equals(facts)) return undefined;
    const hooks = facts.readUInt32LE(info.hooks);
    const offsets = (at: number) =>
      Array.from({ length: hookCount }, (_, hook) =>
        (hooks & (1 << hook)) === 0 ? undefined : facts.readUInt32LE(at + 4 * hook),
      );
    return {
      table,
      entries: offsets(info.entries),
      policies: offsets(info.policies),
      rules: answer.subarray(headBytes),
    };
  }

  return table => {
    const fd = functions.socket(internet, rawType | closeOnExec, rawProtocol);
    if (fd < 0) throw new Error('the kernel gives no socket for the tables of iptables-legacy');
    try {
      for (let attempt = 1; attempt <= attempts; attempt += 1) {
        const read = readOnce(fd, table);
        if (read !== undefined) return read;
      }
      throw new Error(`table ${table} of iptables-legacy was replaced during each of ${attempts} readings`);
    } finally {
      functions.close(fd);
    }
  };
}
