import { fileURLToPath } from 'node:url';
import { createNetns } from '@coold/testbed/netns';
import { describe, expect, it } from 'vitest';
import { libcHere, loadWrongIo, ownSockets } from '../../test/io-here.ts';
import { type Layout, layoutHere } from './layout.ts';
import { selfTest } from './self-test.ts';

/** The layout with one number more or less than it is. */
function planted<S extends keyof Layout>(structure: S, field: keyof Layout[S], by: number): Layout {
  const right = layoutHere[structure];
  return { ...layoutHere, [structure]: { ...right, [field]: Number(right[field]) + by } };
}

/** The kernel never sees how far one vector is from the next, and hands back eight bytes of an event's data, whichever four we use. */
const harmless = (name: string, by: number) =>
  (name === 'vector bytes' && by > 0) || (name === 'event data' && by === 4);

const fields = (Object.keys(layoutHere) as (keyof Layout)[]).flatMap(structure =>
  (Object.keys(layoutHere[structure]) as never[]).map(field => ({
    structure,
    field,
    name: `${structure} ${field}`,
  })),
);

it('passes with the structures of this machine, and leaves nothing open', async () => {
  const before = await ownSockets();
  expect(selfTest(libcHere(), layoutHere)).toBeUndefined();
  expect(await ownSockets()).toEqual(before);
});

describe('a wrong layout', () => {
  it.each(fields)('of $name is found out', async ({ structure, field, name }) => {
    const before = await ownSockets();
    for (const by of [-8, -4, 4, 8]) {
      const layout = planted(structure, field, by);
      if (Number(layout[structure][field]) < 0 || harmless(name, by)) continue;
      expect(selfTest(libcHere(), layout), `by ${by}`).toBeTypeOf('string');
    }
    expect(await ownSockets()).toEqual(before);
  });

  it("is another machine's, and makes node:ffi unusable with a reason", () => {
    expect(loadWrongIo()).toEqual({ unusable: expect.stringMatching(/^the self-test failed: /) });
  });
});

// In a network namespace of its own; needs root.
describe('a loopback', () => {
  const index = JSON.stringify(fileURLToPath(new URL('../index.ts', import.meta.url)));
  const script = `import { loadFfiIo } from ${index}; console.log(loadFfiIo().unusable);`;

  it.each([
    ['without IPv6', ['sysctl', '-qw', 'net.ipv6.conf.lo.disable_ipv6=1'], 'undefined'],
    [
      'that drops what is sent',
      ['iptables', '-A', 'INPUT', '-i', 'lo', '-j', 'DROP'],
      'the self-test failed: how many sockets received what was sent over loopback: expected 2, found 0',
    ],
    [
      'that is down',
      ['ip', 'link', 'set', 'lo', 'down'],
      'the self-test failed: how many sockets received what was sent over loopback: expected 2, found 0',
    ],
  ] as const)('%s', async (_what, [program, ...args], said) => {
    const netns = await createNetns();
    try {
      await netns.exec(program, args);
      const { stdout } = await netns.exec(process.execPath, ['--input-type=module', '-e', script]);
      expect(stdout).toBe(`${said}\n`);
    } finally {
      await netns.close();
    }
  });
});
