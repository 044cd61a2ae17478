// What is found by the kernel's announcements is what a listing of the whole chain finds, after each change by whatever
// program, of one rule and of thousands. Needs root.
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at, createScaffoldLab, type Lab } from '../../../test/scaffold-lab.ts';

const child = fileURLToPath(new URL('../../../test/indexed-child.ts', import.meta.url));
const seed = Number(process.env['EXPLAIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

interface Step {
  program: string;
  args: string[];
  input?: string;
}
interface Said {
  byIndex: string[];
  byListing: string[];
  /** How often the index knew where to look. */
  found: number;
  /** How often announcements were lost. */
  lost: number;
  ms: number;
  listingMs: number;
}

const flows = [
  { src: at.a1, dst: at.b1, port: 80 },
  { src: at.a1, dst: at.b1, port: 81 },
  { src: at.a1, dst: at.a2, port: 80 },
];

let lab: Lab;
beforeAll(async () => {
  lab = await createScaffoldLab();
}, 60_000);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await lab.reset();
  await lab.apply();
});

/** @param keptBytes of announcements, by the kernel; undefined: as it is for the program itself */
async function follow(steps: readonly Step[], keptBytes?: number): Promise<Said[]> {
  const { stdout } = await lab.host.exec(process.execPath, [child], {
    input: JSON.stringify({ steps, flows, keptBytes }),
    env: lab.env,
  });
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Said);
}

const iptables = (...args: string[]): Step => ({ program: 'iptables', args });
const restore = (...lines: string[]): Step => ({
  program: 'iptables-restore',
  args: ['--noflush'],
  input: ['*filter', ...lines, 'COMMIT', ''].join('\n'),
});
const nft = (...lines: string[]): Step => ({ program: 'nft', args: ['-f', '-'], input: lines.join('\n') });

const line = (src: string, dst: string, port: number) =>
  `COOLIFY-ALLOW -s ${src} -d ${dst} -p tcp --dport ${port} -j ACCEPT`;
const bridged = (src: string, dst: string, port: number) =>
  `rule bridge coolify_bridge coolify_allow meta protocol ip ip saddr ${src} ip daddr ${dst} ip protocol tcp th dport ${port} accept`;
const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => `10.210.${((n + from) >> 8) & 255}.${(n + from) & 255}`);

const aStep = fc.oneof(
  fc.constantFrom(...flows).map(({ src, dst, port }) => restore(`-A ${line(src, dst, port)}`)),
  fc.constantFrom(...flows).map(({ src, dst, port }) => nft(`add ${bridged(src, dst, port)}`)),
  fc.constantFrom(...flows).map(({ src, dst, port }) => restore(`-I ${line(src, dst, port)}`)),
  fc.constantFrom(
    iptables('-F', 'COOLIFY-ALLOW'),
    nft('flush chain bridge coolify_bridge coolify_allow'),
    iptables('-I', 'COOLIFY-ALLOW', '-s', at.a1, '-j', 'DROP'),
    iptables('-A', 'COOLIFY-ALLOW', '-p', 'tcp', '-j', 'ACCEPT'),
    // Rules beside one another in one transaction, one of which goes again.
    nft(`add ${bridged(at.a1, at.b1, 80)}`, 'flush chain bridge coolify_bridge coolify_allow'),
    nft('flush chain bridge coolify_bridge coolify_allow', `add ${bridged(at.a1, at.a2, 80)}`),
    nft('add table ip elsewhere', 'delete table ip elsewhere'),
    restore('-F COOLIFY-ALLOW', `-A ${line(at.a1, at.b1, 80)}`),
    // As when a firewall is loaded anew.
    nft(
      'delete table bridge coolify_bridge',
      'add table bridge coolify_bridge',
      'add chain bridge coolify_bridge coolify_allow',
      `add ${bridged(at.a1, at.b1, 80)}`,
    ),
  ),
);

/** A rule that goes, and another one that takes its place. */
const replacing: readonly Step[] = [
  restore(`-I ${line(at.a1, at.b1, 80)}`),
  iptables('-R', 'COOLIFY-ALLOW', '1', '-s', at.a1, '-d', at.b1, '-j', 'DROP'),
];
const someSteps = fc
  .array(fc.oneof({ arbitrary: aStep.map(step => [step]), weight: 14 }, fc.constant(replacing)), {
    minLength: 5,
    maxLength: 20,
  })
  .map(steps => steps.flat());

test(
  'after each change it finds what a listing finds',
  async () => {
    const property = fc.asyncProperty(someSteps, async steps => {
      await lab.reset();
      await lab.apply();
      const said = await follow(steps);
      expect(said).toHaveLength(steps.length);
      for (const { byIndex, byListing } of said) expect(byIndex).toEqual(byListing);
      expect(said.every(({ found }) => found > 0)).toBe(true);
    });
    await fc.assert(property, { numRuns: 8, seed, endOnFailure: true });
  },
  5 * 60_000,
);

test('thousands of rules at once are found, too', async () => {
  const many = numbered(6000);
  const said = await follow([
    restore(...many.map(src => `-A ${line(src, at.b1, 80)}`)),
    nft(...many.map(src => `add ${bridged(src, at.b1, 80)}`)),
    restore(...many.slice(0, 1000).map(src => `-D ${line(src, at.b1, 80)}`)),
    iptables('-F', 'COOLIFY-ALLOW'),
  ]);
  for (const { byIndex, byListing } of said) expect(byIndex).toEqual(byListing);
  expect(said.every(({ found }) => found > 0)).toBe(true);
  expect(said.map(({ ms }) => Math.round(ms))).toSatisfy((all: number[]) => Math.max(...all) < 1000);
}, 120_000);

test('announcements that the kernel has no room for are noticed, and what they were about is found', async () => {
  const many = numbered(3000);
  const said = await follow(
    [
      restore(`-A ${line(at.a1, at.b1, 80)}`),
      restore(...many.map(src => `-A ${line(src, at.b1, 80)}`), `-D ${line(at.a1, at.b1, 80)}`),
      restore(`-A ${line(at.a1, at.b1, 81)}`),
    ],
    64 * 1024,
  );
  for (const { byIndex, byListing } of said) expect(byIndex).toEqual(byListing);
  const [few, tooMany, fewAgain] = said;
  expect([few?.lost, fewAgain?.lost]).toEqual([0, 0]);
  expect(tooMany?.lost).toBeGreaterThan(0);
  expect(said.every(({ found }) => found > 0)).toBe(true);
}, 120_000);
