// Sends real packets for every row of the packet table in every state, on every system and both variants of iptables.
// The name `packets` selects the whole table; otherwise a short selection runs.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Provider } from '../harness/provider.ts';
import { askIn, type Outcome } from '../packets/ask.ts';
import { grounds, keepOutcomes } from '../packets/outcomes.ts';
import { probeNumbers } from '../packets/prober.ts';
import { groups } from '../packets/row.ts';
import { createScene, type Scene } from '../packets/scene.ts';
import { packetTable } from '../packets/table.ts';
import { worlds } from '../packets/world.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const worldMs = 5 * 60_000;

const whole = process.env['E2E_PACKETS'] === 'whole';
const asked = worlds.filter(({ short }) => whole || short);
/** The kinds of hosts: `E2E_PACKETS_ON=debian-13-nft` selects one. */
const wanted = grounds.filter(({ system, variant }) => {
  const only = process.env['E2E_PACKETS_ON'];
  return only === undefined || only === '' ? whole || variant === 'nft' : only === `${system}-${variant}`;
});

const table = packetTable();

describe.each(wanted)('packets on $name', ground => {
  const { system, variant } = ground;
  let provider: Provider;
  let scene: Scene;
  const nextNumber = probeNumbers();
  const found: Partial<Record<string, Outcome[]>> = {};

  beforeAll(async () => {
    const chosen = await chooseGround();
    provider = chosen.provider;
    scene = await createScene(chosen, system, variant);
  }, setUpMs);
  afterAll(async () => {
    await provider?.close();
    if (whole) await keepOutcomes(ground, found);
  }, setUpMs);

  describe.each(asked)('$name', world => {
    let outcomes: Outcome[];
    beforeAll(async () => {
      outcomes = await askIn(world, scene, table, nextNumber);
      found[world.name] = outcomes;
    }, worldMs);
    beforeEach(() => journalsOnFailure(scene.fleet));

    test.each(groups.map(group => [group]))('%s', group => {
      const wrong = outcomes.filter(outcome => outcome.group === group && outcome.wrong !== undefined);
      expect(wrong.map(({ id, expected, wrong: how }) => `${id}: expected ${expected}: ${how}`)).toEqual([]);
    });
  });
});
