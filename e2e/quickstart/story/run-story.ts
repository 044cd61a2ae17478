import { setTimeout as delay } from 'node:timers/promises';
import type { Lane, OpenStream } from './lane.ts';
import type { Act, Answer, Call, Output, Step } from './step.ts';
import { fieldOf } from './wanted.ts';

/** The result of a step, for the end of the story. */
export interface Told {
  step: string;
  /** Its duration, in ms. */
  ms: number;
  calls: ToldCall[];
}

export interface ToldCall extends Call {
  status: number;
  /** The last answer. */
  answer: unknown;
  /** The number of requests. */
  times: number;
}

/** Receives the events of the story as they happen. */
export interface Narrator {
  /** Called before a step. */
  begin(title: string, number: number, of: number): void;
  /** Called before a call, once for repeated ones. */
  call(call: Call): void;
  answer(answer: Answer): void;
  /** Called with the output of the open stream. */
  output(output: Output): void;
}

export interface Telling {
  told: Told[];
  /** The output of the stream that was open during the story. */
  output: Output | undefined;
}

/** Time limit for a wait, in ms. On an idle machine none takes more than 2 s. */
const waitMs = 60_000;
const againEveryMs = 100;

/**
 * Makes the calls of all steps in order.
 *
 * @param goOn called before each step; it throws when the story is to end
 * @throws Error with the call and its answer, when that is not the expected one
 */
export async function runStory(
  steps: readonly Step[],
  lane: Lane,
  narrator: Narrator,
  goOn: () => void,
): Promise<Telling> {
  const told: Told[] = [];
  let opened: OpenStream | undefined;
  let output: Output | undefined;
  try {
    for (const [number, step] of steps.entries()) {
      goOn();
      narrator.begin(step.title, number + 1, steps.length);
      const began = performance.now();
      const calls: ToldCall[] = [];
      for (const act of step.acts) {
        switch (act.does) {
          case 'call':
          case 'wait':
            calls.push(await make(act, lane, narrator));
            break;
          case 'open':
            narrator.call(act.call);
            opened = lane.open(act.call);
            await opened.begun;
            break;
          case 'close':
            if (opened === undefined) throw new Error('no stream is open');
            output = await within(opened.ended);
            narrator.output(output);
            if (!act.wanted.fits(output))
              throw new Error(`expected ${act.wanted.what}, got ${JSON.stringify(output).slice(-2000)}`);
            break;
        }
      }
      told.push({ step: step.title, ms: Math.round(performance.now() - began), calls });
    }
    return { told, output };
  } finally {
    opened?.[Symbol.dispose]();
  }
}

async function make(
  { does, call, wanted }: Extract<Act, { does: 'call' | 'wait' }>,
  lane: Lane,
  narrator: Narrator,
): Promise<ToldCall> {
  narrator.call(call);
  const deadline = performance.now() + waitMs;
  for (let times = 1; ; times += 1) {
    const answer = await lane.call(call);
    const fits = wanted.fits(answer);
    if (fits || performance.now() > deadline || !(does === 'wait' || isLate(answer))) {
      narrator.answer(answer);
      if (!fits)
        throw new Error(`expected ${wanted.what}, got ${answer.status} ${JSON.stringify(answer.body)}`);
      return { ...call, status: answer.status, answer: answer.body, times };
    }
    await delay(againEveryMs);
  }
}

/** Whether the host is still working on it: then the same request is repeated, as docs/laravel.md says. */
function isLate({ status, body }: Answer): boolean {
  return status === 504 && fieldOf(body, 'status') === 'error';
}

async function within(ended: Promise<Output>): Promise<Output> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the stream did not end within ${waitMs} ms`)), waitMs);
  });
  return await Promise.race([ended, late]).finally(() => clearTimeout(timer));
}
