// Computes the needs of a fleet of any size from measurements at a few sizes. Pure. docs/scale.md shows it; `npm run
// bench -- scale` checks it against real brokers with 1,000 and 10,000 hosts.

/** Values measured on 2 cores, or derived from them. docs/scale.md gives the source of each. */
export const measured = {
  /** Resident memory of a broker with warm code and no hosts, in MB. */
  brokerMb: 108,
  /** Memory that each host's stream adds after a dispatch, in KB. */
  streamKb: 29,
  /** CPU time of the broker until its code is compiled, once per start, in ms. */
  warmUpMs: 200,
  /** CPU time of the broker to accept a host, in µs. */
  takeInUs: 640,
  /** CPU time of the broker per dispatch when it has many hosts, in µs. */
  dispatchUs: 120,
  /** CPU time per second that an idle host costs the broker, in µs. */
  quietUs: 2.15,
  /** Memory per container of the mesh in each coold, in bytes: its row with its strings. */
  directoryRowBytes: 250,
} as const;

/** Intervals and limits that are constants of the programs. */
export const fixed = {
  /** How often a coold writes its heartbeat, in s. */
  seenEveryS: 300,
  /** How often a broker writes its heartbeat, in s. */
  beatEveryS: 10,
  /** The largest number of hosts per broker that is measured. */
  hostsPerBroker: 10_000,
} as const;

/** The activity of a fleet. The page says that it is an assumption. */
export interface Fleet {
  hosts: number;
  containersPerHost: number;
  /** Changed container rows per host and hour. */
  changesPerHostHour: number;
  /** Dispatches per host and minute. */
  dispatchesPerHostMinute: number;
}

export interface Needs {
  /** The number of brokers that share the hosts, including one spare. */
  brokers: number;
  /** Hosts per broker while one broker is lost. */
  hostsPerBroker: number;
  /** Memory of each of those brokers, in MB. */
  brokerMb: number;
  /** The share of one core that each of them uses, in percent. */
  brokerCpuPercent: number;
  /** CPU time of each of them to accept its hosts after a restart, in s. */
  takeInS: number;
  /** Rows per second that the fleet writes into Corrosion, and that each agent receives. */
  rowsPerSecond: number;
  /** The number of rows that each agent stores. */
  rows: number;
  /** Memory of the directory in each coold, in MB. */
  directoryMb: number;
}

/** Returns the memory of one broker with `hosts` hosts, in MB. */
export function brokerMemory(hosts: number): number {
  return measured.brokerMb + (hosts * measured.streamKb) / 1000;
}

/** Returns the CPU time in which one broker accepts `hosts` hosts, in s. */
export function takeInSeconds(hosts: number): number {
  return measured.warmUpMs / 1000 + (hosts * measured.takeInUs) / 1e6;
}

/** Returns the needs of a fleet. */
export function needsOf({
  hosts,
  containersPerHost,
  changesPerHostHour,
  dispatchesPerHostMinute,
}: Fleet): Needs {
  const sharing = Math.max(1, Math.ceil(hosts / fixed.hostsPerBroker));
  const brokers = sharing + 1;
  const hostsPerBroker = Math.ceil(hosts / sharing);
  const perHostUs = measured.quietUs + (dispatchesPerHostMinute / 60) * measured.dispatchUs;
  const containers = hosts * containersPerHost;
  return {
    brokers,
    hostsPerBroker,
    brokerMb: brokerMemory(hostsPerBroker),
    brokerCpuPercent: (hostsPerBroker * perHostUs) / 1e4,
    takeInS: takeInSeconds(hostsPerBroker),
    rowsPerSecond:
      hosts / fixed.seenEveryS + brokers / fixed.beatEveryS + (hosts * changesPerHostHour) / 3600,
    // Each container has a row; each host has a heartbeat, a slice of addresses and a route.
    rows: containers + 3 * hosts + brokers,
    directoryMb: (containers * measured.directoryRowBytes) / 1e6,
  };
}

/** The fleets of docs/scale.md, one for each size. */
export const pageFleets: readonly Fleet[] = [1000, 10_000, 100_000].map(hosts => ({
  hosts,
  containersPerHost: 20,
  changesPerHostHour: 6,
  dispatchesPerHostMinute: 6,
}));

/** The columns and rows of the page's table. */
export function scaleTable(): { head: string[]; rows: string[][] } {
  const needs = pageFleets.map(needsOf);
  const row = (what: string, of: (needs: Needs) => number, unit: string, digits = 0) => [
    what,
    ...needs.map(one => `${withCommas(of(one), digits)}${unit}`),
  ];
  return {
    head: ['', ...pageFleets.map(({ hosts }) => `${withCommas(hosts, 0)} hosts`)],
    rows: [
      row('brokers, one of them to spare', one => one.brokers, ''),
      row('hosts of a broker while one is lost', one => one.hostsPerBroker, ''),
      row('memory of a broker', one => one.brokerMb, ' MB'),
      row('CPU of a broker, of one core', one => one.brokerCpuPercent, ' %', 1),
      row('CPU to take its hosts in after a restart', one => one.takeInS, ' s', 1),
      row('rows written into Corrosion, in a second', one => one.rowsPerSecond, '', 1),
      row('rows that each agent keeps', one => one.rows, ''),
      row('memory of the directory in each coold', one => one.directoryMb, ' MB'),
    ],
  };
}

function withCommas(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
