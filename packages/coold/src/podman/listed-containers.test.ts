import { VerbError } from '@coold/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCurrent, readListedContainers } from './listed-containers.ts';

/** As libpod of Podman 4.3 lists a container. */
const listed = {
  Id: 'df4a',
  Names: ['web'],
  Image: 'localhost/tiny:latest',
  ImageID: 'a857',
  State: 'Running',
  Status: 'healthy',
  Created: '2026-11-30T04:08:44.043159083Z',
  Labels: { app: 'shop' },
  Networks: ['z', 'n'],
  Ports: [
    { host_ip: '', container_port: 80, host_port: 8080, range: 2, protocol: 'tcp' },
    { host_ip: '127.0.0.1', container_port: 53, host_port: 5353, range: 1, protocol: 'udp' },
  ],
};

describe("libpod's list", () => {
  it('is read by name, with separate ranges of ports', () => {
    const bare = { ...listed, Names: ['ash'], Status: '', Labels: null, Networks: null, Ports: null };
    expect(readListedContainers([listed, bare])).toEqual([
      {
        id: 'df4a',
        name: 'ash',
        image: 'localhost/tiny:latest',
        imageId: 'a857',
        state: 'running',
        health: 'unknown',
        created: 1_796_011_724n,
        labels: {},
        networks: [],
        ports: [],
      },
      {
        id: 'df4a',
        name: 'web',
        image: 'localhost/tiny:latest',
        imageId: 'a857',
        state: 'running',
        health: 'healthy',
        created: 1_796_011_724n,
        labels: { app: 'shop' },
        networks: ['n', 'z'],
        ports: [
          { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
          { hostIp: '', hostPort: 8081, containerPort: 81, protocol: 'tcp' },
          { hostIp: '127.0.0.1', hostPort: 5353, containerPort: 53, protocol: 'udp' },
        ],
      },
    ]);
  });

  it('of any shape is read or refused with a 502', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.array(fc.record({ Ports: fc.anything() }))), answer => {
        try {
          readListedContainers(answer);
        } catch (error) {
          expect(error).toBeInstanceOf(VerbError);
        }
      }),
    );
  });
});

describe('what is known of addresses', () => {
  const [container] = readListedContainers([listed]);
  const facts = (state: string, networks: [string, string][]) => ({
    id: 'df4a',
    name: 'web',
    health: 'healthy',
    state,
    networks: new Map(networks),
    aliases: new Map<string, string[]>(),
  });

  it.each<[boolean, string, [string, string][]]>([
    [
      true,
      'running',
      [
        ['n', '10.0.0.2'],
        ['z', '10.0.1.2'],
      ],
    ],
    [
      false,
      'created',
      [
        ['n', ''],
        ['z', ''],
      ],
    ],
    [
      false,
      'running',
      [
        ['n', '10.0.0.2'],
        ['z', ''],
      ],
    ],
    [false, 'running', [['n', '10.0.0.2']]],
    [
      false,
      'running',
      [
        ['n', '10.0.0.2'],
        ['other', '10.0.1.2'],
      ],
    ],
  ])('is current: %j, where it was read as %s %j', (current, state, networks) => {
    if (container === undefined) throw new Error('expected one');
    expect(isCurrent(facts(state, networks), container)).toBe(current);
  });
});
