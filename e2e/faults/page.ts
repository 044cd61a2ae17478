import type { Fault, Seer, Sign } from './table.ts';

/** The name of each status. */
const commands: Record<Seer, string> = {
  'the host': '`coold status`',
  'another host': '`coold status` of another host',
  'the broker': '`broker status`',
  'another broker': '`broker status` on the machine',
};

/** Returns the rows of the table in docs/troubleshooting.md. Pure. */
export function faultRows(faults: readonly Fault[]): string[][] {
  return faults.map(({ name, signs, alerts, readThere, remedy }) => [
    name.charAt(0).toUpperCase() + name.slice(1),
    [
      ...signs.map(signText).filter(text => text !== ''),
      `alerts: ${alerts.map(code).join(', ')}`,
      ...(readThere === undefined
        ? []
        : [`alerts of a Prometheus on the machine itself: ${readThere.map(code).join(', ')}`]),
    ].join('<br>'),
    remedy,
  ]);
}

export const faultColumns = ['fault', 'what you see', 'what to do'];

function signText({ of, problem, log, metric }: Sign): string {
  const parts = [
    ...(problem === undefined ? [] : [`${commands[of]}: ${code(`PROBLEM: ${problem}…`)}`]),
    ...(log === undefined || log.startsWith('PROBLEM: ') ? [] : [`journal of ${programs[of]}: ${code(log)}`]),
    ...(metric === undefined ? [] : [code(metric)]),
  ];
  return parts.join('<br>');
}

const programs: Record<Seer, string> = {
  'the host': 'coold',
  'another host': 'coold',
  'the broker': 'the broker',
  'another broker': 'the broker',
};

const code = (text: string) => `\`${text.replace(/\s+…$/, ' …')}\``;
