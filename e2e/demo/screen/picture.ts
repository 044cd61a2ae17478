// Turns a recording into one animated SVG, for pages without a player. It reads only what terminal.ts writes and
// refuses everything else. Pure.
import type { Cast } from './asciicast.ts';
import { type Line, type Span, type Style, styles } from './styled.ts';

/** A state of the screen and when it begins, in s. */
export interface Frame {
  at: number;
  rows: readonly Line[];
}

const cell = { width: 8.4, height: 18 };
const margin = 12;
/** More frames would not be visible. */
const framesPerSecond = 2;
/** A longer pause between changes is shortened to this many seconds. */
const longestPauseS = 2;
/** How long the last frame is shown, in s. */
const lastS = 5;

/** @param speed how much faster than the recording @throws Error for output that the demo's screen does not write */
export function asSvg(cast: Cast, speed: number): string {
  const frames = withoutPauses(readFrames(cast)).map(({ at, rows }) => ({ at: at / speed, rows }));
  const lasts = (frames.at(-1)?.at ?? 0) + lastS;
  const [width, height] = [cast.width * cell.width + 2 * margin, cast.height * cell.height + 2 * margin];
  const lines = new Map<string, number>();
  const films = frames.map(({ rows }, number) => {
    const uses = rows.flatMap((line, row) => {
      const drawn = asText(line);
      if (drawn === '') return [];
      const id = lines.get(drawn) ?? lines.size;
      lines.set(drawn, id);
      return [`<use href="#l${id}" y="${round(row * cell.height)}"/>`];
    });
    return `<g transform="translate(${round(number * width)})">${uses.join('')}</g>`;
  });
  const steps = frames.map(
    ({ at }, number) => `${round((at / lasts) * 100)}%{transform:translateX(${round(-number * width)}px)}`,
  );
  const colors = Object.entries(styles).map(([name, { fill }]) => `.${name}{fill:${fill}}`);
  const defs = [...lines].map(
    ([drawn, id]) => `<text id="l${id}" x="${margin}" y="${margin + 13}">${drawn}</text>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" viewBox="0 0 ${round(width)} ${round(height)}">`,
    '<title>npm run demo: a deployment across three hosts, and what happens when parts of it fail</title>',
    `<style>text{font:14px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}${colors.join('')}`,
    `.film{animation:film ${round(lasts)}s step-end infinite}@keyframes film{${steps.join('')}}</style>`,
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/><defs>${defs.join('')}</defs>`,
    `<g class="film">${films.join('')}</g></svg>`,
  ].join('\n')}\n`;
}

/** Shortens each longer pause between two frames to `longestPauseS`. */
function withoutPauses(frames: readonly Frame[]): Frame[] {
  let at = 0;
  return frames.map((frame, number) => {
    at += Math.min(longestPauseS, frame.at - (frames[number - 1]?.at ?? frame.at));
    return { at, rows: frame.rows };
  });
}

const round = (value: number) => Number(value.toFixed(2));

/** Sets `textLength` on each piece, which keeps the columns aligned in any font. */
function asText(line: Line): string {
  let column = 0;
  const pieces: string[] = [];
  for (const { text, style } of line) {
    const [shown, before] = [text.trim(), text.length - text.trimStart().length];
    if (shown !== '') {
      const place = `x="${round(margin + (column + before) * cell.width)}" textLength="${round(shown.length * cell.width)}"`;
      pieces.push(`<tspan class="${style}" ${place}>${escaped(shown)}</tspan>`);
    }
    column += text.length;
  }
  return pieces.join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Returns the screens of a recording, one for each moment at which something changed. */
export function readFrames({ height, output }: Cast): Frame[] {
  let rows: Line[] = Array.from({ length: height }, () => []);
  const frames: Frame[] = [];
  for (const { at, text } of output) {
    rows = applied(rows, text);
    const moment = Math.floor(at * framesPerSecond) / framesPerSecond;
    if (frames.at(-1)?.at === moment) frames.pop();
    frames.push({ at: moment, rows });
  }
  // The alternate screen is left at the end, which clears it. The last frame is the one before.
  return frames.filter(frame => frame.rows.some(line => line.length > 0));
}

function applied(before: readonly Line[], text: string): Line[] {
  const rows = [...before];
  let rest = text;
  while (rest !== '') {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what terminals are written to with
    const [found, row, content] = /^\u001b\[(\d+);1H(.*?)\u001b\[K/s.exec(rest) ?? [];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const [other] = /^\u001b\[(?:\?\d+[hl]|2J)/.exec(rest) ?? [];
    if (found !== undefined && row !== undefined && content !== undefined)
      rows[Number(row) - 1] = readSpans(content);
    else if (other === undefined)
      throw new Error(`not written by the demo: ${JSON.stringify(rest.slice(0, 40))}`);
    rest = rest.slice((found ?? other ?? '').length);
  }
  return rows;
}

const styleOf = new Map<string, Style>(
  Object.entries(styles).map(([name, { sgr }]) => [sgr === '' ? '0' : sgr, name as Style] as const),
);

function readSpans(text: string): Span[] {
  let style: Style = 'plain';
  return text.split('\u001b[').flatMap((part, number): Span[] => {
    if (number === 0) return part === '' ? [] : [{ text: part, style }];
    const [code = '', ...words] = part.split('m');
    style = styleOf.get(code) ?? 'plain';
    const shown = words.join('m');
    return shown === '' ? [] : [{ text: shown, style }];
  });
}
