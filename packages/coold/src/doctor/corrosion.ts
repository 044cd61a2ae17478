import { type Corrosion, CorrosionError } from '@coold/corrosion';
import { errorMessage, type Finding, fail, ok, warn } from '@coold/runtime';

/** A table of the mesh (see packaging/corrosion), and what does not work without it. */
export interface NeededTable {
  name: string;
  columns: readonly string[];
  /** Undefined when coold cannot work without it. */
  onlyFor?: string;
}

export const neededTables: readonly NeededTable[] = [
  {
    name: 'service_endpoints',
    columns: [
      ...['container_id', 'container_name', 'namespace', 'host_mgmt_ip'],
      ...['container_ip', 'state', 'health', 'updated_at'],
    ],
  },
  {
    name: 'service_registrations',
    columns: [...['service_id', 'container_id', 'name', 'namespace', 'host_mgmt_ip', 'port', 'updated_at']],
    onlyFor: 'services and aliases have no names',
  },
  {
    name: 'host_seen',
    columns: ['host_mgmt_ip', 'seen_at'],
    onlyFor: 'names of hosts that are gone go on being answered',
  },
  {
    name: 'host_pools',
    columns: ['host_mgmt_ip', 'network_pool', 'updated_at'],
    onlyFor: 'overlapping slices of hosts are not found',
  },
];

/** The result of querying a table. */
export type TableLook = { kind: 'there' } | { kind: 'refused' | 'silent'; why: string };

/** Pure. */
export function judgeTables(looks: readonly (readonly [NeededTable, TableLook])[], url: string): Finding[] {
  const silent = looks.flatMap(([, look]) => (look.kind === 'silent' ? [look.why] : []))[0];
  if (silent !== undefined)
    return [fail(`Corrosion at ${url} does not answer: ${silent}`, 'systemctl status corrosion')];
  const findings = looks.flatMap(([{ name, onlyFor }, look]): Finding[] => {
    if (look.kind === 'there') return [];
    const cure = 'copy the file of that table to /etc/corrosion/schemas, then `systemctl reload corrosion`';
    return [
      onlyFor === undefined
        ? fail(`table ${name} is missing or has other columns: ${look.why}`, cure)
        : warn(`table ${name} is missing or has other columns, so ${onlyFor}: ${look.why}`, cure),
    ];
  });
  return findings.length > 0 ? findings : [ok(`Corrosion at ${url} has every table`)];
}

/** Selects one row of a table by its column names. Never rejects. */
export async function lookAtTable(
  corrosion: Pick<Corrosion, 'query'>,
  { name, columns }: NeededTable,
  signal: AbortSignal,
): Promise<TableLook> {
  try {
    await corrosion.query([`SELECT ${columns.join(', ')} FROM ${name} LIMIT 1`, []], () => {}, signal);
    return { kind: 'there' };
  } catch (error) {
    const why = errorMessage(error);
    const isAnswer = error instanceof CorrosionError && error.fault === 'refused';
    return { kind: isAnswer ? 'refused' : 'silent', why };
  }
}
