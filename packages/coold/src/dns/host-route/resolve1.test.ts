import { describe, expect, it } from 'vitest';
import { linkPath, parseLink, Resolve1Error } from './resolve1.ts';

describe('a link of systemd-resolved', () => {
  it('is found on the bus by its number, whose first digit is escaped', () => {
    expect(linkPath(5)).toBe('/org/freedesktop/resolve1/link/_35');
    expect(linkPath(128)).toBe('/org/freedesktop/resolve1/link/_3128');
  });

  const told = (dns: unknown, domains: unknown, isDefaultRoute: unknown) =>
    JSON.stringify({
      type: 'a{sv}',
      data: [
        {
          ScopesMask: { type: 't', data: 1 },
          DNS: { type: 'a(iay)', data: dns },
          Domains: { type: 'a(sb)', data: domains },
          DefaultRoute: { type: 'b', data: isDefaultRoute },
        },
      ],
    });

  it('is read as busctl prints it', () => {
    const ipv6 = [253, ...Array<number>(14).fill(0), 1];
    const domains = [
      ['coolify.internal', true],
      ['example.org.', false],
    ];
    expect(
      parseLink(
        `${told(
          [
            [2, [127, 0, 64, 53]],
            [10, ipv6],
          ],
          domains,
          false,
        )}\n`,
      ),
    ).toEqual({
      servers: ['127.0.64.53', 'fd00:0000:0000:0000:0000:0000:0000:0001'],
      domains: [
        { name: 'coolify.internal', isRouteOnly: true },
        { name: 'example.org', isRouteOnly: false },
      ],
      isDefaultRoute: false,
    });
  });

  it.each([
    '',
    'no JSON',
    '{"data":[]}',
    '{"data":[{"DNS":{"data":[]},"Domains":{"data":[]}}]}',
    told([[2, [127, 0, 64]]], [], false),
    told([[2, [127, 0, 64, 256]]], [], false),
    told([[2]], [], false),
    told([], [['x']], false),
    told([], {}, false),
    told([], [], 'no'),
  ])('that is told otherwise is an error: %j', text => {
    expect(() => parseLink(text)).toThrow(Resolve1Error);
  });
});
