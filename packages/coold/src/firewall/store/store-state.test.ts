import { expect, test } from 'vitest';
import { createMirror } from '../planes/mirror.ts';
import type { DenyState } from '../scaffold/deny-state.ts';
import { readState, type StoreState } from './store-state.ts';

const modes: [DenyState, boolean, StoreState['mode']][] = [
  [{ kind: 'not wanted' }, true, 'enforcing'],
  [{ kind: 'not wanted' }, false, 'permissive'],
  [{ kind: 'in place' }, true, 'enforcing'],
  [{ kind: 'in place' }, false, 'enforcing'],
  [{ kind: 'broken', why: 'it is gone' }, true, 'broken'],
  [{ kind: 'unknown' }, false, 'permissive'],
];
test.each(modes)(
  'with a default deny that is %j, and a bridged plane: %s, the mode is %s',
  (deny, bridged, mode) => {
    const kernel = {
      backend: 'nf_tables' as const,
      iptables: createMirror(true),
      isWatched: () => true,
      nft: bridged ? createMirror(true) : undefined,
      guard: undefined,
    };
    const snapshots = { ids: new Set<string>(), problem: undefined };
    const none = { changes: { name: 'settled' as const }, lastError: undefined };
    const parts = { loaded: true, kernel, model: new Map(), snapshots, deny, ...none };
    expect(readState({ ...parts, isDenyJudged: true })).toMatchObject({
      mode,
      denyProblem: deny.kind === 'broken' ? deny.why : undefined,
    });
    const isBroken = deny.kind === 'broken';
    expect(readState({ ...parts, isDenyJudged: false })).toMatchObject({
      mode: isBroken ? 'broken' : 'unknown',
      denyProblem: isBroken ? deny.why : expect.any(String),
    });
  },
);
