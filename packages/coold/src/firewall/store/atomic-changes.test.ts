// The kernel and the disk are played: what is tested is which state each failure leaves, and in which order things are done.
import { createLogger } from '@coold/runtime/logger';
import { expect, test } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { KernelError } from '../planes/kernel-tool.ts';
import type { Change } from '../rule/change.ts';
import { AtomicChanges } from './atomic-changes.ts';
import type { Leftover } from './journal.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
const adding = (n: number): Change => ({
  kind: 'add',
  rule: ruleNumber(n),
  iptables: true,
  nft: true,
  guard: true,
  file: true,
});
const change = adding(1);

/** A host on which the named steps fail, with the steps that were tried in their order. */
function createHost(failures: Record<string, Error> = {}, left?: Leftover) {
  const steps: string[] = [];
  const failing = new Map(Object.entries(failures));
  async function step(name: string): Promise<void> {
    steps.push(name);
    const failure = failing.get(name);
    if (failure !== undefined) throw failure;
  }
  const words = (changes: readonly Change[]) => changes.map(({ kind }) => kind).join(' ');
  const changes = new AtomicChanges({
    kernel: {
      look: () => step('look'),
      check: () => step('check'),
      apply: some => step(`kernel: ${words(some)}`),
      applyBy: (program, some) => step(`${program}: ${words(some)}`),
    },
    snapshots: {
      async stage() {
        await step('stage');
        return { commit: () => step('files'), discard: () => step('discard') };
      },
      write: some => step(`write files: ${words(some)}`),
    },
    journal: {
      begin: () => step('begin'),
      giveUp: () => step('give up'),
      finish: () => step('finish'),
      forget: () => step('forget'),
      async read() {
        await step('read');
        return left;
      },
      async putAside() {
        await step('put aside');
        return 'allow.pending.damaged';
      },
    },
    model: [],
    log,
  });
  return { changes, steps, mend: () => failing.clear() };
}

test('a change is staged and journalled, then made in the kernel, then in the files', async () => {
  const { changes, steps } = createHost();
  await changes.commit([change, adding(2)]);
  expect(steps).toEqual(['stage', 'begin', 'check', 'kernel: add add', 'files', 'finish']);
  expect(changes.state).toEqual({ name: 'settled' });
});

test('nothing is done for no change', async () => {
  const { changes, steps } = createHost();
  await changes.commit([]);
  expect(steps).toEqual([]);
});

test.each(['stage', 'begin', 'check'])('where %s fails, the kernel is not touched', async step => {
  const { changes, steps } = createHost({ [step]: new Error('no room') });
  await expect(changes.commit([change, adding(2)])).rejects.toThrow('nothing has changed: no room');
  expect(steps).not.toContain('kernel: add add');
  expect(steps.at(-1)).toBe('forget');
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a refused change whose journal cannot be removed is unfinished until it can be', async () => {
  const { changes, mend } = createHost({ check: new Error('no'), forget: new Error('EIO') });
  const both = [change, adding(2)];
  await expect(changes.commit(both)).rejects.toThrow('nothing has changed: no');
  expect(changes.state).toEqual({ name: 'unfinished', changes: both });
  mend();
  await changes.settle();
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a change that the kernel refuses is taken back at once', async () => {
  const { changes, steps } = createHost({ 'kernel: add': new Error('no') });
  await expect(changes.commit([change])).rejects.toThrow('nothing has changed: no');
  const taken = ['give up', 'look', 'kernel: remove', 'write files: remove', 'forget'];
  expect(steps).toEqual(['stage', 'begin', 'kernel: add', 'discard', ...taken]);
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a change that cannot be taken back from every plane goes from iptables, and stays unfinished', async () => {
  const { changes, steps, mend } = createHost({
    files: new Error('EROFS'),
    'kernel: remove': new Error('nft hangs'),
  });
  await expect(changes.commit([change])).rejects.toThrow(
    'EROFS; all of it could not be taken back yet: nft hangs',
  );
  expect(steps.at(-1)).toBe('iptables: remove');
  expect(changes.state).toEqual({ name: 'unfinished', changes: [change] });
  mend();
  await changes.settle();
  expect(steps.slice(-4)).toEqual(['look', 'kernel: remove', 'write files: remove', 'forget']);
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a program that is missing is not run again to take back what the other one did', async () => {
  const missing = new KernelError('nft: is it installed?', { unavailable: 'nft' });
  const { changes, steps } = createHost({ 'kernel: add': missing });
  await expect(changes.commit([change])).rejects.toThrow('nothing has changed: nft: is it installed?');
  expect(steps.at(-1)).toBe('iptables: remove');
  expect(changes.state).toEqual({ name: 'unfinished', changes: [change] });
});

test('a journal of an earlier process is completed', async () => {
  const { changes, steps } = createHost({}, { direction: 'complete', changes: [change] });
  expect(await changes.recover()).toBeUndefined();
  expect(steps).toEqual(['read', 'kernel: add', 'write files: add', 'forget']);
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a journal that cannot be completed is taken back', async () => {
  const { changes, steps } = createHost(
    { 'kernel: add': new Error('no') },
    { direction: 'complete', changes: [change] },
  );
  expect(await changes.recover()).toBeUndefined();
  expect(steps.slice(2)).toEqual(['give up', 'look', 'kernel: remove', 'write files: remove', 'forget']);
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a journal that says "undo" is taken back', async () => {
  const { changes, steps } = createHost({}, { direction: 'undo', changes: [change] });
  expect(await changes.recover()).toBeUndefined();
  expect(steps).toEqual(['read', 'look', 'kernel: remove', 'write files: remove', 'forget']);
  expect(changes.state).toEqual({ name: 'settled' });
});

test('a journal that cannot be read is moved aside, and reported', async () => {
  const { changes, steps } = createHost({ read: new Error('not JSON') });
  expect(await changes.recover()).toBe(
    'the journal cannot be read, and is kept as allow.pending.damaged: not JSON',
  );
  expect(steps).toEqual(['read', 'put aside']);
});
