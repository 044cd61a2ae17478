import { runChild } from '@coold/runtime';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asCurl, quoted } from './curl.ts';

it('writes a call as one line, with quotes where a shell needs them', () => {
  const body = { command: { type: 'x', note: "it's $HOME" } };
  expect(asCurl('/run/my sock', { method: 'POST', path: '/v1/coold/dispatch', body })).toBe(
    String.raw`curl -sS --unix-socket '/run/my sock' -H 'content-type: application/json' -d '{"command":{"type":"x","note":"it'\''s $HOME"}}' http://broker/v1/coold/dispatch`,
  );
});

it('writes the method of a call without a body, and shows a stream unbuffered', () => {
  const lines = [
    asCurl('/s', { method: 'GET', path: '/v1/build/result/b?timeout_ms=1' }),
    asCurl('/s', { method: 'DELETE', path: '/v1/build/b' }),
    asCurl('/s', { method: 'POST', path: '/v1/coold/stream', body: {} }),
  ];
  expect(lines).toEqual([
    "curl -sS --unix-socket /s 'http://broker/v1/build/result/b?timeout_ms=1'",
    'curl -sS --unix-socket /s -X DELETE http://broker/v1/build/b',
    "curl -sSN --unix-socket /s -H 'content-type: application/json' -d '{}' http://broker/v1/coold/stream",
  ]);
});

it('a shell reads every word unchanged', async () => {
  const words = fc
    .sample(fc.string({ unit: 'binary', maxLength: 20 }), 100)
    .filter(word => !word.includes('\0'));
  const script = `printf '%s\\0' ${words.map(quoted).join(' ')}`;
  const { stdout } = await runChild('bash', ['-c', script], { timeoutMs: 20_000 });
  expect(stdout.split('\0').slice(0, -1)).toEqual(words.map(word => Buffer.from(word).toString('utf8')));
});
