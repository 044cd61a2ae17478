import { expect, it } from 'vitest';
import { judgeRoute } from './link-route.ts';

const server = '127.0.64.53';
const route = { name: 'coolify.internal', isRouteOnly: true };
const judge = (link: Partial<Parameters<typeof judgeRoute>[0]>) =>
  judgeRoute({ servers: [server], domains: [route], isDefaultRoute: false, ...link }, server, route.name);

it('is in place when the link asks coold for the zone, and for nothing else', () => {
  expect(judge({})).toEqual({ kind: 'in place' });
});

it('is missing from a link that has nothing, or a part of it', () => {
  expect(judge({ servers: [], domains: [] })).toEqual({ kind: 'missing' });
  expect(judge({ servers: [] })).toEqual({ kind: 'missing' });
  expect(judge({ domains: [] })).toEqual({ kind: 'missing' });
  expect(judge({ isDefaultRoute: true })).toEqual({ kind: 'missing' });
});

it('is left alone when another program has set the link up, which is reported', () => {
  expect(judge({ servers: ['192.0.2.1'], domains: [] })).toEqual({
    kind: 'foreign',
    what: 'resolvers 192.0.2.1',
  });
  expect(judge({ servers: [server, '192.0.2.1'] })).toMatchObject({ kind: 'foreign' });
  expect(judge({ servers: [], domains: [{ name: 'example.org', isRouteOnly: true }] })).toEqual({
    kind: 'foreign',
    what: 'domains ~example.org',
  });
  expect(judge({ domains: [{ ...route, isRouteOnly: false }] })).toEqual({
    kind: 'foreign',
    what: 'domains coolify.internal',
  });
});
