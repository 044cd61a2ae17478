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
export class DispatchReference {
  readonly #options: ReferenceOptions;
  /** Whatever has changed last is the last of its state. */
  #entries: Entry[] = [];
  /** The live connection of each host. */
  readonly #connections = new Map<number, number>();
  #now = 0;
  #order = 0;
  #streams = 0;
  #drain: { at: number; order: number } | undefined;
  #stopping = false;

  constructor(options: ReferenceOptions) {
    this.#options = options;
  }

  /** A caller asks for a command. @returns what it hears, which grows */
  ask(id: string, host: number, kind: 'dispatch' | 'stream'): ReferenceCaller {
    const caller: ReferenceCaller = { heard: [], name: id };
    const refused = kind === 'dispatch' ? '' : 'refused ';
    const former = this.#find(id);
    if (kind === 'dispatch' && former?.state === 'landed' && former.host === host) {
      caller.heard.push(`200 ${id}`);
      former.caller = caller;
      this.#enter(former, 'replying');
      return caller;
    }
    const connection = this.#connections.get(host);
    const why = connection === undefined ? '404 host not connected' : this.#obstacle(id);
    if (why !== undefined || connection === undefined) {
      caller.heard.push(`${refused}${why}`);
      return caller;
    }
    if (kind === 'stream') {
      this.#streams += 1;
      caller.name = streamName(id, this.#streams);
    }
    const entry: Entry = { id, name: caller.name, host, connection, caller, state: 'ended', due: undefined };
    this.#entries.push(entry);
    this.#enter(entry, kind === 'dispatch' ? 'waiting' : 'opening', this.#options.timeoutMs);
    return caller;
  }

  connect(host: number, connection: number): void {
    const replaced = this.#connections.get(host);
    this.#connections.set(host, connection);
    if (replaced !== undefined) this.#lose(replaced);
  }

  disconnect(connection: number): void {
    for (const [host, live] of this.#connections) if (live === connection) this.#connections.delete(host);
    this.#lose(connection);
  }

  /** A host's whole answer, on any connection it ever had. */
  answer(connection: number, name: string): void {
    const entry = this.#named(name);
    if (entry?.connection !== connection || ![...this.#connections.values()].includes(connection)) return;
    switch (entry.state) {
      case 'waiting':
        entry.caller.heard.push(`200 ${entry.id}`);
        this.#enter(entry, 'replying');
        break;
      case 'overdue':
        this.#becomeLanded(entry);
        break;
      case 'opening':
        this.#endStream(entry, '501 host answered whole: its coold does not stream this verb');
        break;
      case 'open':
        this.#endStream(entry, '502 host answered a stream with listContainers');
        break;
      case 'replying':
      case 'landed':
      case 'ended':
        return;
    }
  }

  begin(connection: number, name: string): void {
    const entry = this.#named(name);
    if (entry?.connection !== connection || entry.state !== 'opening') return;
    entry.caller.heard.push('opened');
    this.#enter(entry, 'open');
  }

  end(connection: number, name: string): void {
    const entry = this.#named(name);
    if (entry?.connection !== connection || entry.state !== 'open') return;
    entry.caller.heard.push('ended');
    this.#enter(entry, 'ended');
  }

  /** The caller's connection is closed. @param delivered its reply was written whole before */
  leave(caller: ReferenceCaller, delivered: boolean): void {
    const entry = this.#entries.find(one => one.caller === caller);
    if (entry === undefined) return;
    switch (entry.state) {
      case 'waiting':
        // A reply that was not there was not delivered.
        if (!delivered) this.#becomeOverdue(entry);
        break;
      case 'replying':
        if (delivered) this.#forget(entry);
        else this.#becomeLanded(entry);
        break;
      case 'opening':
        entry.caller.heard.push('refused 499 caller left');
        this.#forget(entry);
        break;
      case 'open':
      case 'ended':
        this.#forget(entry);
        break;
      case 'overdue':
      case 'landed':
        return;
    }
  }

  /** Lets `ms` pass, and what ends by itself in that time end. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#entries.flatMap(entry => (entry.due === undefined ? [] : [{ ...entry.due, entry }]));
      const all = [...due, ...(this.#drain === undefined ? [] : [{ ...this.#drain, entry: undefined }])];
      const [next] = all.sort((a, b) => a.at - b.at || a.order - b.order);
      if (next === undefined || next.at > end) break;
      this.#now = next.at;
      if (next.entry !== undefined) {
        this.#fire(next.entry);
        continue;
      }
      this.#drain = undefined;
      for (const entry of this.#inState('waiting')) {
        entry.caller.heard.push('503 broker is stopping');
        this.#forget(entry);
      }
    }
    this.#now = end;
  }

  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const entry of this.#inState('opening', 'open')) this.#endStream(entry, '503 broker is stopping');
    this.#order += 1;
    this.#drain = { at: this.#now + this.#options.drainMs, order: this.#order };
  }

  counts() {
    return {
      waiting: this.#inState('waiting', 'replying').length,
      landed: this.#inState('landed').length,
      overdue: this.#inState('overdue').length,
      streams: this.#inState('opening', 'open', 'ended').length,
      hosts: this.#connections.size,
    };
  }

  isStopping(): boolean {
    return this.#stopping;
  }

  #enter(entry: Entry, state: Entry['state'], ms?: number): void {
    entry.state = state;
    this.#order += 1;
    entry.due = ms === undefined ? undefined : { at: this.#now + ms, order: this.#order };
    // Whatever has just changed is the youngest of its state.
    this.#entries = [...this.#entries.filter(other => other !== entry), entry];
  }

  #becomeOverdue(entry: Entry): void {
    this.#enter(entry, 'overdue', this.#options.overdueTtlMs);
    const overdue = this.#inState('overdue');
    if (overdue.length > this.#options.max && overdue[0] !== undefined) this.#forget(overdue[0]);
  }

  #becomeLanded(entry: Entry): void {
    this.#enter(entry, 'landed', this.#options.landedTtlMs);
    const landed = this.#inState('landed');
    if (landed.length > this.#options.maxLanded && landed[0] !== undefined) this.#forget(landed[0]);
  }

  #endStream(entry: Entry, why: string): void {
    entry.caller.heard.push(entry.state === 'opening' ? `refused ${why}` : `failed ${why}`);
    this.#enter(entry, 'ended');
  }

  #lose(connection: number): void {
    for (const entry of this.#entries.filter(one => one.connection === connection)) {
      if (entry.state === 'opening' || entry.state === 'open')
        this.#endStream(entry, '503 host disconnected');
      if (entry.state === 'waiting') entry.caller.heard.push('503 host disconnected');
      if (entry.state === 'waiting' || entry.state === 'overdue') this.#forget(entry);
    }
  }

  /** Why an id cannot be had; undefined: it can, and nothing has it any more. */
  #obstacle(id: string): string | undefined {
    if (this.#stopping) return '503 broker is stopping';
    const former = this.#find(id);
    if (former !== undefined && former.state !== 'overdue' && former.state !== 'landed')
      return '409 request_id already in flight';
    if (former !== undefined) this.#forget(former);
    const held = this.#entries.length - this.#inState('overdue').length;
    return held >= this.#options.max ? '503 broker at pending-dispatch capacity' : undefined;
  }

  #fire(entry: Entry): void {
    switch (entry.state) {
      case 'waiting':
        entry.caller.heard.push('504 dispatch timeout');
        this.#becomeOverdue(entry);
        break;
      case 'opening':
        this.#endStream(entry, '504 dispatch timeout');
        break;
      case 'overdue':
      case 'landed':
        this.#forget(entry);
        break;
      case 'replying':
      case 'open':
      case 'ended':
        throw new Error(`nothing ends ${entry.state} by itself`);
    }
  }

  #inState(...states: Entry['state'][]): Entry[] {
    return this.#entries.filter(({ state }) => states.includes(state));
  }

  #find(id: string): Entry | undefined {
    return this.#entries.find(entry => entry.id === id);
  }

  #named(name: string): Entry | undefined {
    return this.#entries.find(entry => entry.name === name);
  }

  #forget(gone: Entry): void {
    this.#entries = this.#entries.filter(entry => entry !== gone);
  }
}
