import { setTimeout as delay } from 'node:timers/promises';
import type { Lane } from '../quickstart/story/lane.ts';
import { openLane } from '../quickstart/story/lane.ts';
import type { Answer, Command } from '../quickstart/story/step.ts';
import { fieldOf } from '../quickstart/story/wanted.ts';
import { brokerSocket, type DemoHost } from './ground.ts';

/** Laravel, beside one of the brokers. It uses only that broker's socket. */
export interface Laravel extends AsyncDisposable {
  /** Returns the broker whose socket it uses. */
  at(): DemoHost;
  /** Moves to another broker's machine, as a load balancer in front of two Laravels would. */
  moveTo(broker: DemoHost): Promise<void>;
  lane(): Lane;
  /**
   * Sends a host a command. Repeats the same request while the host moves from one broker to another, or still works on
   * it.
   *
   * @returns the data of the answer
   * @throws Error with the command and the last answer
   */
  done(on: DemoHost, command: Command): Promise<unknown>;
  /** Repeats a command until its data match. @throws Error with the last data */
  until<T>(on: DemoHost, command: Command, fits: (data: unknown) => T | undefined): Promise<T>;
}

/** The timeout of an answer and of a wait, in ms. On a quiet machine none takes more than a few seconds. */
const patienceMs = 60_000;
const againEveryMs = 200;
/** Not available now, and perhaps in a moment (docs/reference/errors.md). */
function isPassing({ status, body }: Answer): boolean {
  return status === 503 || status === 504 || fieldOf(body, 'reason') === 'host_not_connected';
}

export function createLaravel(broker: DemoHost): Laravel {
  let at = broker;
  let lane = openLane(brokerSocket(broker));
  let calls = 0;
  const done: Laravel['done'] = async (on, command) => {
    calls += 1;
    const body = { host_id: on.name, request_id: `demo-${calls}`, command };
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const answer = await lane.call({ method: 'POST', path: '/v1/coold/dispatch', body });
      if (fieldOf(answer.body, 'status') === 'ok') return fieldOf(answer.body, 'data') ?? null;
      if (!isPassing(answer) || performance.now() > deadline)
        throw new Error(`${command.type} on ${on.name}: ${answer.status} ${JSON.stringify(answer.body)}`);
      await delay(againEveryMs);
    }
  };
  return {
    at: () => at,
    async moveTo(next) {
      await lane[Symbol.asyncDispose]();
      at = next;
      lane = openLane(brokerSocket(next));
    },
    lane: () => lane,
    done,
    async until(on, command, fits) {
      const deadline = performance.now() + patienceMs;
      for (;;) {
        const data = await done(on, command);
        const found = fits(data);
        if (found !== undefined) return found;
        if (performance.now() > deadline)
          throw new Error(
            `${command.type} on ${on.name} did not come to what was waited for: ${JSON.stringify(data)}`,
          );
        await delay(againEveryMs);
      }
    },
    [Symbol.asyncDispose]: () => lane[Symbol.asyncDispose](),
  };
}
