import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readSurroundings, sweepConfirmed } from './environment.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hetzner-env-'));
  writeFileSync(join(root, 'key'), 'private');
  writeFileSync(join(root, 'key.pub'), 'public');
});
afterEach(() => rmSync(root, { recursive: true }));

const complete = { HETZNER_TOKEN: 'secret-token', HETZNER_PROJECT: 'e2e', SSH_KEY: 'key' };

test('gives a reason to skip when there is no token', () => {
  expect(readSurroundings({}, root)).toEqual({
    kind: 'absent',
    reason: expect.stringMatching(/^HETZNER_TOKEN is not set/),
  });
  expect(readSurroundings({ HETZNER_TOKEN: '' }, root).kind).toBe('absent');
});

test('accepts exported variables alone, with defaults for the rest', () => {
  expect(readSurroundings(complete, root)).toEqual({
    kind: 'ready',
    settings: {
      token: 'secret-token',
      project: 'e2e',
      sshKey: join(root, 'key'),
      location: undefined,
      image: 'debian-12',
      serverType: undefined,
      keepServers: false,
    },
  });
});

test('reads .env, prefers exported variables, and exports nothing', () => {
  writeFileSync(
    join(root, '.env'),
    `# a comment
HETZNER_TOKEN="from the file"
export HETZNER_PROJECT=of-the-file
SSH_KEY='${join(root, 'key')}'
HETZNER_LOCATION=nbg1
HETZNER_IMAGE=debian-13
E2E_KEEP_VMS=1
CONFIRM_SWEEP=1
`,
  );
  const exported = { HETZNER_TOKEN: 'exported', HETZNER_LOCATION: 'hel1', HETZNER_IMAGE: '' };
  expect(readSurroundings(exported, root)).toMatchObject({
    settings: {
      token: 'exported',
      project: 'of-the-file',
      location: 'hel1',
      image: 'debian-12',
      keepServers: true,
    },
  });
  expect(sweepConfirmed({}, root)).toBe(true);
  expect(sweepConfirmed({ CONFIRM_SWEEP: '0' }, root)).toBe(false);
  expect(sweepConfirmed({}, join(root, 'elsewhere'))).toBe(false);
  expect(process.env['HETZNER_PROJECT']).not.toBe('of-the-file');
});

test.each([
  ['HETZNER_PROJECT', 'HETZNER_PROJECT is not set: expected the name of the project'],
  ['SSH_KEY', 'SSH_KEY is not set: expected the path of a private SSH key'],
])('a token without %s is a mistake that is named', (name, message) => {
  expect(() => readSurroundings({ ...complete, [name]: undefined }, root)).toThrow(message);
});

test('names missing keys', () => {
  expect(() => readSurroundings({ ...complete, SSH_KEY: '/nowhere/key' }, root)).toThrow(
    'SSH_KEY: /nowhere/key does not exist',
  );
  rmSync(join(root, 'key.pub'));
  expect(() => readSurroundings(complete, root)).toThrow('key.pub does not exist');
});

test('refuses an impossible token without repeating it', () => {
  expect(() => readSurroundings({ ...complete, HETZNER_TOKEN: 'secret\nInjected: yes' }, root)).toThrow(
    /^HETZNER_TOKEN holds characters(?!.*secret)/,
  );
});
