import { expect, it } from 'vitest';
import { wireName } from './names.ts';
import { createRelativeNames } from './relative-names.ts';

const isRelative = createRelativeNames(['default', 'Mesh-1', 'shop', 'blog', 'dev']);

it.each(['web.default', 'web_1.mesh-1', 'x.default'])('%s is a name without its zone', name =>
  expect(isRelative(wireName(name))).toBe(true),
);

it.each([
  'web',
  'default',
  'a.web.default',
  'web.defaults',
  'default.web',
  'default.coolify.internal',
  // Public top-level domains.
  'example.shop',
  'example.dev',
  'example.blog',
])('%s is none', name => expect(isRelative(wireName(name))).toBe(false));

it('the root is none', () => expect(isRelative('\0')).toBe(false));
