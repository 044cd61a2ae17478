import { expect, test } from 'vitest';
import type { DenyState } from './deny-state.ts';
import { createMirror } from './mirror.ts';
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
      ...{ backend: 'nf_tables' as const, iptables: createMirror(true), isWatched: () => true },
      ...{ nft: bridged ? createMirror(true) : undefined, guard: undefined },
    };
    const filed = { ids: new Set<string>(), problem: undefined };
    const none = { unfinished: undefined, lastError: undefined };
    expect(readState({ ...{ loaded: true, kernel, model: new Map(), filed, deny }, ...none }).mode).toBe(
      mode,
    );
  },
);
