import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silent } from '../../../test/dns-questions.ts';
import { ruleNumber } from '../../../test/rule-examples.ts';
import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import { createSnapshotCache, type SnapshotCache } from './snapshot-cache.ts';
import { createSnapshotFiles } from './snapshot-files.ts';

const chain = 'COOLIFY-ALLOW';
const [one, two, three] = [ruleNumber(1), ruleNumber(2), ruleNumber(4)];
const unknown = () => undefined;

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let snapshots: SnapshotCache;
beforeEach(async () => {
  folder = await scratchFolder();
  snapshots = open();
});
afterEach(() => folder[Symbol.asyncDispose]());

const path = (name: string) => join(folder.path, name);

function open(): SnapshotCache {
  const files = createSnapshotFiles({ iptables: path('allow.rules'), nft: path('allow.nft') }, chain);
  return createSnapshotCache(files, chain, silent);
}

const change = (kind: Change['kind'], rule: Rule, file = true): Change => ({
  kind,
  rule,
  file,
  iptables: true,
  nft: true,
  guard: true,
});

const told = ({ rules, ids, problem }: SnapshotCache) => ({
  rules: rules === undefined ? undefined : new Set(rules.map(({ id }) => id)),
  ids: new Set(ids),
  problem,
});
const saying = (...rules: Rule[]) => {
  const ids = new Set(rules.map(({ id }) => id));
  return { rules: ids, ids, problem: undefined };
};

describe('what the files say', () => {
  it('is empty before there are rules, and then has the rules and the changes', async () => {
    await snapshots.read(unknown);
    expect(told(snapshots)).toEqual({ rules: undefined, ids: new Set(), problem: undefined });
    await snapshots.write([change('add', two), change('remove', one), change('add', three, false)], [one]);
    expect(told(snapshots)).toEqual(saying(two));
    const again = open();
    await again.read(unknown);
    expect(told(again)).toEqual(saying(two));
  });

  it('is as it was until what is staged is committed, and for good if it is discarded', async () => {
    await snapshots.write([], [one]);
    const discarded = await snapshots.stage([change('add', two)], []);
    await discarded.discard();
    const staged = await snapshots.stage([change('add', three)], []);
    expect(told(snapshots)).toEqual(saying(one));
    await staged.commit();
    expect(told(snapshots)).toEqual(saying(one, three));
    expect((await readdir(folder.path)).sort()).toEqual(['allow.nft', 'allow.rules']);
  });

  it('is read again when another program has changed it, into the existing objects', async () => {
    await snapshots.write([], [one, two]);
    const { rules: before } = snapshots;
    await snapshots.readChanged(unknown);
    expect(snapshots.rules).toBe(before);
    const other = open();
    await other.write([], [two]);
    await snapshots.readChanged(id => (id === two.id ? two : undefined));
    expect(told(snapshots)).toEqual(saying(two));
    expect(snapshots.rules?.[0]).toBe(two);
  });

  it('is a problem where a file is damaged, until it is written again', async () => {
    await snapshots.write([], [one]);
    await writeFile(path('allow.nft'), 'half a li');
    await snapshots.readChanged(unknown);
    expect(snapshots.problem).toContain('allow.nft');
    await snapshots.write([change('add', two)], []);
    expect(told(snapshots)).toEqual(saying(one, two));
    expect(await readFile(path('allow.nft.damaged'), 'utf8')).toBe('half a li');
  });
});
