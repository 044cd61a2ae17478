import { startRecording } from './screen/asciicast.ts';
import { draw, leastSize } from './screen/draw.ts';
import { openTerminal } from './screen/terminal.ts';
import type { Seen } from './seen.ts';

/** The output of the demo: a screen or lines of progress, and a recording if one is wanted. */
export interface Stage extends Disposable {
  /** Prints a line of progress; a screen shows it among the events. */
  say(text: string): void;
  step(number: number, of: number, title: string): void;
  /** Draws the current state. */
  refresh(seen: Omit<Seen, 'at' | 'step' | 'told'>): void;
}

export interface StageOptions {
  /** The stream that people watch. */
  output: { isTTY?: boolean; columns?: number; rows?: number; write(text: string): unknown };
  env: Readonly<Record<string, string | undefined>>;
  /** Path of a recording; undefined: none is made. */
  record: string | undefined;
}

const empty = {
  hosts: [],
  brokers: [],
  name: undefined,
  seconds: [],
  total: { v1: 0, v2: 0, failed: 0 },
  events: [],
};

/** @throws Error when the recording cannot be written */
export function openStage({ output, env, record }: StageOptions): Stage {
  const cleanup = new DisposableStack();
  const size = { columns: output.columns ?? 0, rows: output.rows ?? 0 };
  const fits = size.columns >= leastSize.columns && size.rows >= leastSize.rows;
  const isScreen = output.isTTY === true && fits && env['TERM'] !== 'dumb';
  const color = (env['NO_COLOR'] ?? '') === '';
  const recording = record === undefined ? undefined : cleanup.use(startRecording(record, leastSize));
  const screens = [
    ...(isScreen
      ? [{ size, terminal: cleanup.use(openTerminal(text => void output.write(text), color)) }]
      : []),
    ...(recording === undefined
      ? []
      : [{ size: leastSize, terminal: cleanup.use(openTerminal(text => recording.write(text), true)) }]),
  ];
  const told: { at: number; text: string }[] = [];
  let step: Seen['step'];
  let last: Omit<Seen, 'at' | 'step' | 'told'> = empty;

  const seconds = () => performance.now() / 1000;
  const redraw = () => {
    const seen: Seen = { ...last, at: seconds(), step, told };
    for (const screen of screens) screen.terminal.show(draw(seen, screen.size));
  };
  const line = (text: string) => {
    if (!isScreen) output.write(`demo: ${seconds().toFixed(1).padStart(5)} s  ${text}\n`);
  };
  if (output.isTTY === true && !isScreen)
    line(`lines instead of a screen: it needs ${leastSize.columns}×${leastSize.rows}`);
  return {
    say(text) {
      told.push({ at: seconds(), text });
      line(text);
      redraw();
    },
    step(number, of, title) {
      step = { number, of, title };
      line(`[${String(number).padStart(2)}/${of}] ${title}`);
      redraw();
    },
    refresh(seen) {
      last = seen;
      redraw();
    },
    [Symbol.dispose]: () => cleanup.dispose(),
  };
}
