/** A row of a status screen: a name and its value. */
export type ScreenRow = readonly [name: string, value: string];

export interface Screen {
  rows: readonly ScreenRow[];
  lists: readonly { title: string; lines: readonly string[] }[];
  /** The problems, one sentence each. Empty: healthy. */
  problems: readonly string[];
  /** What a program that was just started has not done yet. */
  unfinished?: readonly string[];
  /** What a program does too late, although nothing is wrong as far as it knows. */
  late?: readonly string[];
}

/** Renders a status screen as text, the verdict first. Control characters are replaced, since values may come from other hosts. */
export function screen({ rows, lists, problems, unfinished = [], late = [] }: Screen): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const good = unfinished.length + late.length === 0 ? ['healthy'] : [];
  const verdict = [
    ...(problems.length === 0 ? good : problems.map(problem => `PROBLEM: ${problem}`)),
    ...unfinished.map(what => `starting: not there yet: ${what}`),
    ...late.map(what => `late: ${what}`),
  ];
  const shown = lists.filter(({ lines }) => lines.length > 0);
  return [
    ...verdict,
    '',
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...shown.flatMap(({ title, lines }) => ['', `${title}:`, ...lines.map(line => `  ${line}`)]),
  ]
    .map(line => `${line.replaceAll(/\p{Cc}/gu, '?')}\n`)
    .join('');
}

/** Formats a duration in its two largest units: "3d 4h", "2m 5s". @param seconds a negative value counts as 0 */
export function formatAge(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const told = first === -1 ? parts.slice(-1) : parts.slice(first, first + 2);
  return told.map(([count, unit]) => `${count}${unit}`).join(' ');
}
