import { describe, expect, it } from 'vitest';
import { checkIpv4, checkLabels, checkName, checkNamespace, checkRef } from './names.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const refused = { code: 400, field: 'f' };

describe('a name', () => {
  it.each(['a', 'web-1', 'A_b.c', '0', 'x'.repeat(128)])('may be %j', name => {
    expect(checkName(name, 'f')).toBe(name);
  });

  it.each([
    ...['', '-rf', '.', '..', '_a', 'a/b', '/etc', 'a b', 'a\0', 'a\n', 'ａ', 'é', 'a%2fb', '../../x'],
    ...['x'.repeat(129), 'x'.repeat(10_240)],
  ])('may not be %j', name => {
    expect(() => checkName(name, 'f')).toThrow(expect.objectContaining(refused));
  });
});

describe('a reference', () => {
  it.each([
    ...[
      'nginx',
      'nginx:alpine',
      'docker.io/library/nginx:alpine',
      'localhost/tiny:latest',
      'r:5000/a/b__c:1',
    ],
    ...[
      `nginx@${digest}`,
      `registry.example:5000/a/b:c@${digest}`,
      digest,
      'a'.repeat(64),
      '10.0.0.1:5000/x',
    ],
  ])('may be %j', ref => {
    expect(checkRef(ref, 'f')).toBe(ref);
  });

  it('that could be the beginning of an id is a name, with its tag', () => {
    expect(checkRef('cafe', 'f')).toBe('cafe:latest');
    expect(checkRef('0123456789ab', 'f')).toBe('0123456789ab');
    expect(checkRef('cafe:1', 'f')).toBe('cafe:1');
  });

  it.each([
    ...[
      '',
      '-q',
      '--all',
      'a b',
      ' a',
      'a ',
      'a\n',
      'dir:/etc',
      'docker-archive:/x.tar',
      'docker://nginx',
      '/nginx',
    ],
    ...[
      'oci:/a:b',
      'containers-storage:x',
      'nginx:',
      'nginx@sha256:abc',
      'a//b',
      'a/../b',
      'a/',
      'nginx:a/b',
      'ｎginx',
    ],
    ...[
      'r:123456/a',
      `${'a/'.repeat(300)}a`,
      'a'.repeat(10_000),
      'nginx?x=1',
      'nginx#x',
      'a%2f',
      'a:-x',
      'a\0',
    ],
  ])('may not be %j', ref => {
    expect(() => checkRef(ref, 'f')).toThrow(expect.objectContaining(refused));
  });

  it('that is made to take long is refused at once', () => {
    const started = performance.now();
    for (const text of ['a.'.repeat(256), 'a-'.repeat(256), `${'a'.repeat(511)}!`, `${'a_'.repeat(255)}!`])
      expect(() => checkRef(text, 'f')).toThrow(expect.objectContaining(refused));
    expect(performance.now() - started, 'that backtracks would take minutes').toBeLessThan(5000);
  });
});

it('a namespace is a DNS label', () => {
  expect(checkNamespace('shop-1', 'f')).toBe('shop-1');
  for (const bad of ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'x'.repeat(64), '../a'])
    expect(() => checkNamespace(bad, 'f')).toThrow(expect.objectContaining(refused));
});

it('an address is of IPv4', () => {
  expect(checkIpv4('10.0.0.1', 'f')).toBe('10.0.0.1');
  for (const bad of ['', '10.0.0', '10.0.0.1/24', '::1', '10.0.0.256', '010.0.0.1'])
    expect(() => checkIpv4(bad, 'f')).toThrow(expect.objectContaining(refused));
});

it('a label has a key and no NUL', () => {
  const labels = { 'com.example': 'é "x"', a: '' };
  expect(checkLabels(labels, 'f')).toBe(labels);
  expect(() => checkLabels({ '': 'x' }, 'f')).toThrow(expect.objectContaining(refused));
  expect(() => checkLabels({ a: '\0' }, 'f')).toThrow(expect.objectContaining({ code: 400, field: 'f.a' }));
});
