// Text with the few styles of the demo, and their form on a terminal and in a picture. Pure.

export const styles = {
  plain: { sgr: '', fill: '#d0d7de' },
  dim: { sgr: '2', fill: '#8b949e' },
  bold: { sgr: '1', fill: '#ffffff' },
  good: { sgr: '32', fill: '#3fb950' },
  bad: { sgr: '31', fill: '#ff7b72' },
  warn: { sgr: '33', fill: '#e3b341' },
  first: { sgr: '36', fill: '#56d4dd' },
} as const;
export type Style = keyof typeof styles;

export interface Span {
  text: string;
  style: Style;
}

/** One row of the screen. */
export type Line = readonly Span[];

export function span(text: string, style: Style = 'plain'): Span {
  return { text, style };
}

/** Cuts a text, or pads it with spaces, to a width. */
export function column(text: string, width: number, style: Style = 'plain'): Span {
  return span(text.length > width ? `${text.slice(0, width - 2)}… ` : text.padEnd(width), style);
}

/** Cuts a line to a width. */
export function cut(line: Line, width: number): Line {
  let left = width;
  return line.flatMap(({ text, style }) => {
    const kept = text.slice(0, left);
    left -= kept.length;
    return kept === '' ? [] : [{ text: kept, style }];
  });
}

/** Renders a line with ANSI escapes; without `color`, as plain text. */
export function asAnsi(line: Line, color: boolean): string {
  return line
    .map(({ text, style }) => {
      const { sgr } = styles[style];
      return !color || sgr === '' ? text : `\u001b[${sgr}m${text}\u001b[0m`;
    })
    .join('');
}
