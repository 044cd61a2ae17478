import { describe, expect, it } from 'vitest';
import type { KeptListener } from './keep-listener.ts';
import { createListenerGroup, type ListenerPlace } from './listener-group.ts';

/** Listeners that tell when they begin and end. */
function createRecorder() {
  const told: string[] = [];
  const fail = new Map<string, (error: Error) => void>();
  const listen = ({ namespace, gateway }: ListenerPlace): KeptListener | undefined => {
    if (namespace === 'none') return undefined;
    const name = `${namespace} ${gateway}`;
    return {
      state: { namespace, address: gateway, bound: false, problem: undefined },
      run(stop) {
        told.push(`+${name}`);
        return new Promise((resolve, reject) => {
          fail.set(gateway, reject);
          const end = () => {
            told.push(`-${name}`);
            resolve();
          };
          if (stop.aborted) end();
          else stop.addEventListener('abort', end, { once: true });
        });
      },
    };
  };
  return { told, fail, listen };
}
const place = (gateway: string, namespace = 'a') => ({ namespace, gateway });
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

describe('listeners', () => {
  it('come and go with what is kept; those that stay are left alone', async () => {
    const { told, listen } = createRecorder();
    const group = createListenerGroup(listen);
    const stop = new AbortController();
    group.keep([place('10.0.0.1')]);
    const running = group.run(stop.signal);
    group.keep([place('10.0.0.1'), place('10.0.1.1'), place('10.0.2.1', 'none')]);
    await turn();
    expect(told).toEqual(['+a 10.0.0.1', '+a 10.0.1.1']);
    expect(group.states().map(({ address }) => address)).toEqual(['10.0.0.1', '10.0.1.1']);
    group.keep([place('10.0.0.1')]);
    await turn();
    expect(told.slice(2)).toEqual(['-a 10.0.1.1']);
    stop.abort();
    await running;
    expect(told.slice(3)).toEqual(['-a 10.0.0.1']);
  });

  it('at one gateway follow each other', async () => {
    const { told, listen } = createRecorder();
    const group = createListenerGroup(listen);
    const stop = new AbortController();
    group.keep([place('10.0.0.1', 'a')]);
    const running = group.run(stop.signal);
    group.keep([place('10.0.0.1', 'b'), place('10.0.0.1', 'c')]);
    await turn();
    expect(told).toEqual(['+a 10.0.0.1', '-a 10.0.0.1', '+b 10.0.0.1']);
    stop.abort();
    await running;
  });

  it('that break end the group', async () => {
    const { fail, listen } = createRecorder();
    const group = createListenerGroup(listen);
    const running = group.run(new AbortController().signal);
    group.keep([place('10.0.0.1')]);
    await turn();
    fail.get('10.0.0.1')?.(new Error('broken'));
    await expect(running).rejects.toThrow('broken');
  });
});
