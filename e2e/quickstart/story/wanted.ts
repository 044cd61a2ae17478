// The few kinds of expected answers in the story. Pure.
import type { Answer, Wanted } from './step.ts';

/** The host executed the command. */
export const done: Wanted = { what: 'the status "ok"', fits: answer => dataOf(answer) !== undefined };

/** The broker accepted a build. */
export const taken: Wanted = { what: 'HTTP 202', fits: ({ status }) => status === 202 };

/** The image exists. */
export const built: Wanted = {
  what: 'an image',
  fits: ({ status, body }) => status === 200 && fieldOf(body, 'status') === 'ok',
};

/** A healthcheck that was run now has passed. */
export const healthy: Wanted = {
  what: 'the status "healthy"',
  fits: answer => fieldOf(dataOf(answer), 'status') === 'healthy',
};

/** The kernel's verdict on a flow. */
export function verdict(word: 'passes' | 'blocked'): Wanted {
  return { what: `the verdict "${word}"`, fits: answer => fieldOf(dataOf(answer), 'verdict') === word };
}

/** A program in a container succeeded and printed this. */
export function says(text: string, butNot?: string): Wanted {
  return {
    what: `${JSON.stringify(text)}${butNot === undefined ? '' : ` and not ${JSON.stringify(butNot)}`}`,
    fits: answer => {
      const data = dataOf(answer);
      const output = String(fieldOf(data, 'output'));
      const isWhole = output.includes(text) && (butNot === undefined || !output.includes(butNot));
      return fieldOf(data, 'exit_code') === 0 && isWhole;
    },
  };
}

/** A program in a container reached its time limit without output: exit code 143 from busybox, 124 from others. */
export const getsNothing: Wanted = {
  what: 'a program that gets no answer',
  fits: answer => [124, 143].includes(Number(fieldOf(dataOf(answer), 'exit_code'))),
};

/** Exactly these containers run. */
export function runs(...names: readonly string[]): Wanted {
  return {
    what: `${names.join(' and ')} to run`,
    fits: answer => {
      const list = dataOf(answer);
      if (!Array.isArray(list)) return false;
      const running = list
        .filter(one => fieldOf(one, 'state') === 'running')
        .map(one => String(fieldOf(one, 'name')));
      return names.every(name => running.includes(name));
    },
  };
}

/** Returns the data of an envelope with the status "ok": null when the verb has none, undefined when it failed. */
function dataOf({ status, body }: Answer): unknown {
  if (status !== 200 || fieldOf(body, 'status') !== 'ok') return undefined;
  return fieldOf(body, 'data') ?? null;
}

/** Returns a field of a value that may be an object. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
