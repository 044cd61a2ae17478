import { streamName } from '@coold/proto';

/** What a caller of the reference hears, in order. Dispatches hear one thing; streams their opening, then their end. */
export interface ReferenceCaller {
  heard: string[];
  /** What its command is called on the way to its host; its id, where it was not sent. */
  name: string;
}

interface Entry {
  id: string;
  name: string;
  host: number;
  /** The connection that it was sent on. */
  connection: number;
  state: 'waiting' | 'replying' | 'overdue' | 'landed' | 'opening' | 'open' | 'ended';
  caller: ReferenceCaller;
  /** When its state ends by itself, and which of two at the same moment is first. */
  due: { at: number; order: number } | undefined;
}

export interface ReferenceOptions {
  max: number;
  timeoutMs: number;
  landedTtlMs: number;
  overdueTtlMs: number;
  /** Landed answers that there is room for. */
  maxLanded: number;
  drainMs: number;
}

/**
 * What docs/contract.md §2 says of dispatches, streams and hosts, in the plainest form: one list, searched for
 * everything. The model test holds the broker against it.
 */
export function createReference(options: ReferenceOptions) {
  let entries: Entry[] = [];
  /** The live connection of each host. */
  const connections = new Map<number, number>();
  let now = 0;
  let order = 0;
  let streams = 0;
  let drain: { at: number; order: number } | undefined;
  let stopping = false;

  const inState = (...states: Entry['state'][]) => entries.filter(({ state }) => states.includes(state));
  const find = (id: string) => entries.find(entry => entry.id === id);
  const named = (name: string) => entries.find(entry => entry.name === name);
  const forget = (gone: Entry) => {
    entries = entries.filter(entry => entry !== gone);
  };

  function enter(entry: Entry, state: Entry['state'], ms?: number): void {
    entry.state = state;
    order += 1;
    entry.due = ms === undefined ? undefined : { at: now + ms, order };
    // Whatever has just changed is the youngest of its state.
    entries = [...entries.filter(other => other !== entry), entry];
  }

  function becomeOverdue(entry: Entry): void {
    enter(entry, 'overdue', options.overdueTtlMs);
    const overdue = inState('overdue');
    if (overdue.length > options.max && overdue[0] !== undefined) forget(overdue[0]);
  }

  function becomeLanded(entry: Entry): void {
    enter(entry, 'landed', options.landedTtlMs);
    const landed = inState('landed');
    if (landed.length > options.maxLanded && landed[0] !== undefined) forget(landed[0]);
  }

  function endStream(entry: Entry, why: string): void {
    entry.caller.heard.push(entry.state === 'opening' ? `refused ${why}` : `failed ${why}`);
    enter(entry, 'ended');
  }

  function lose(connection: number): void {
    for (const entry of entries.filter(one => one.connection === connection)) {
      if (entry.state === 'opening' || entry.state === 'open') endStream(entry, '503 host disconnected');
      if (entry.state === 'waiting') entry.caller.heard.push('503 host disconnected');
      if (entry.state === 'waiting' || entry.state === 'overdue') forget(entry);
    }
  }

  /** Why an id cannot be had; undefined: it can, and nothing has it any more. */
  function obstacle(id: string): string | undefined {
    if (stopping) return '503 broker is stopping';
    const former = find(id);
    if (former !== undefined && former.state !== 'overdue' && former.state !== 'landed')
      return '409 request_id already in flight';
    if (former !== undefined) forget(former);
    const held = entries.length - inState('overdue').length;
    return held >= options.max ? '503 broker at pending-dispatch capacity' : undefined;
  }

  function ask(id: string, host: number, kind: 'dispatch' | 'stream'): ReferenceCaller {
    const caller: ReferenceCaller = { heard: [], name: id };
    const refused = kind === 'dispatch' ? '' : 'refused ';
    const former = find(id);
    if (kind === 'dispatch' && former?.state === 'landed' && former.host === host) {
      caller.heard.push(`200 ${id}`);
      former.caller = caller;
      enter(former, 'replying');
      return caller;
    }
    const connection = connections.get(host);
    const why = connection === undefined ? '404 host not connected' : obstacle(id);
    if (why !== undefined || connection === undefined) {
      caller.heard.push(`${refused}${why}`);
      return caller;
    }
    if (kind === 'stream') {
      streams += 1;
      caller.name = streamName(id, streams);
    }
    const entry: Entry = { id, name: caller.name, host, connection, caller, state: 'ended', due: undefined };
    entries.push(entry);
    enter(entry, kind === 'dispatch' ? 'waiting' : 'opening', options.timeoutMs);
    return caller;
  }

  function fire(entry: Entry): void {
    switch (entry.state) {
      case 'waiting':
        entry.caller.heard.push('504 dispatch timeout');
        becomeOverdue(entry);
        break;
      case 'opening':
        endStream(entry, '504 dispatch timeout');
        break;
      case 'overdue':
      case 'landed':
        forget(entry);
        break;
      case 'replying':
      case 'open':
      case 'ended':
        throw new Error(`nothing ends ${entry.state} by itself`);
    }
  }

  return {
    connect(host: number, connection: number): void {
      const replaced = connections.get(host);
      connections.set(host, connection);
      if (replaced !== undefined) lose(replaced);
    },
    disconnect(connection: number): void {
      for (const [host, live] of connections) if (live === connection) connections.delete(host);
      lose(connection);
    },
    ask,
    /** A host's whole answer, on any connection it ever had. */
    answer(connection: number, name: string): void {
      const entry = named(name);
      if (entry?.connection !== connection || ![...connections.values()].includes(connection)) return;
      switch (entry.state) {
        case 'waiting':
          entry.caller.heard.push(`200 ${entry.id}`);
          enter(entry, 'replying');
          break;
        case 'overdue':
          becomeLanded(entry);
          break;
        case 'opening':
          endStream(entry, '501 host answered whole: its coold does not stream this verb');
          break;
        case 'open':
          endStream(entry, '502 host answered a stream with listContainers');
          break;
        case 'replying':
        case 'landed':
        case 'ended':
          return;
      }
    },
    begin(connection: number, name: string): void {
      const entry = named(name);
      if (entry?.connection !== connection || entry.state !== 'opening') return;
      entry.caller.heard.push('opened');
      enter(entry, 'open');
    },
    end(connection: number, name: string): void {
      const entry = named(name);
      if (entry?.connection !== connection || entry.state !== 'open') return;
      entry.caller.heard.push('ended');
      enter(entry, 'ended');
    },
    /** The caller's connection is closed. @param delivered its reply was written whole before */
    leave(caller: ReferenceCaller, delivered: boolean): void {
      const entry = entries.find(one => one.caller === caller);
      if (entry === undefined) return;
      switch (entry.state) {
        case 'waiting':
          // A reply that was not there was not delivered.
          if (!delivered) becomeOverdue(entry);
          break;
        case 'replying':
          if (delivered) forget(entry);
          else becomeLanded(entry);
          break;
        case 'opening':
          entry.caller.heard.push('refused 499 caller left');
          forget(entry);
          break;
        case 'open':
        case 'ended':
          forget(entry);
          break;
        case 'overdue':
        case 'landed':
          return;
      }
    },
    pass(ms: number): void {
      const end = now + ms;
      for (;;) {
        const due = entries.flatMap(entry => (entry.due === undefined ? [] : [{ ...entry.due, entry }]));
        const all = [...due, ...(drain === undefined ? [] : [{ ...drain, entry: undefined }])];
        const [next] = all.sort((a, b) => a.at - b.at || a.order - b.order);
        if (next === undefined || next.at > end) break;
        now = next.at;
        if (next.entry !== undefined) {
          fire(next.entry);
          continue;
        }
        drain = undefined;
        for (const entry of inState('waiting')) {
          entry.caller.heard.push('503 broker is stopping');
          forget(entry);
        }
      }
      now = end;
    },
    stop(): void {
      if (stopping) return;
      stopping = true;
      for (const entry of inState('opening', 'open')) endStream(entry, '503 broker is stopping');
      order += 1;
      drain = { at: now + options.drainMs, order };
    },
    counts: () => ({
      waiting: inState('waiting', 'replying').length,
      landed: inState('landed').length,
      overdue: inState('overdue').length,
      streams: inState('opening', 'open', 'ended').length,
      hosts: connections.size,
    }),
    isStopping: () => stopping,
  };
}
