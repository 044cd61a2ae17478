/** A name and what there is to say of it. */
export type ScreenRow = readonly [name: string, value: string];

export interface Screen {
  rows: readonly ScreenRow[];
  lists: readonly { title: string; lines: readonly string[] }[];
  /** What is wrong, one sentence each; empty: nothing. */
  problems: readonly string[];
}

/** One screen of text for a person, the verdict first. What others have sent is shown without control characters. */
export function screen({ rows, lists, problems }: Screen): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const verdict = problems.length === 0 ? ['healthy'] : problems.map(problem => `PROBLEM: ${problem}`);
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

/** A time for a person, in the two units that matter: "3d 4h", "2m 5s". @param seconds never below 0 shown */
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
