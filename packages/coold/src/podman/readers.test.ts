import { VerbError } from '@coold/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindMounts } from './containers.ts';
import { readHostContainers, readStats, withIdle } from './host.ts';
import { digestOf, readImageList } from './images.ts';
import { readVolume } from './volumes.ts';

const compatible = (id: string, address: string) => ({
  Id: id,
  NetworkSettings: { Networks: { n: { IPAddress: address } } },
});
const libpod = (id: string, health: string) => ({
  Id: id,
  Names: [id],
  Image: 'i',
  State: 'Running',
  Status: health,
});

describe("Podman's two lists", () => {
  it('are joined: health of one, addresses of the other, what both have', () => {
    const [a, b, gone] = [compatible('a', '10.0.0.2'), compatible('b', ''), compatible('gone', '')];
    expect(
      readHostContainers([a, b, gone], [libpod('a', 'healthy'), libpod('b', ''), libpod('new', '')]),
    ).toEqual([
      {
        id: 'a',
        name: 'a',
        image: 'i',
        state: 'running',
        health: 'healthy',
        networks: ['n'],
        addresses: { n: '10.0.0.2' },
        labels: {},
      },
      {
        id: 'b',
        name: 'b',
        image: 'i',
        state: 'running',
        health: 'unknown',
        networks: ['n'],
        addresses: {},
        labels: {},
      },
    ]);
  });
});

it('a container without a network has none, also where Podman 5 lists its mode as one', () => {
  const none = { Id: 'a', NetworkSettings: { Networks: { none: { IPAddress: '' }, host: {} } } };
  expect(readHostContainers([none], [libpod('a', '')])).toMatchObject([{ networks: [], addresses: {} }]);
});

describe('statistics of what a container sent and received', () => {
  const stats = {
    ContainerID: 'a',
    Name: 'a',
    CPU: 0.5,
    MemUsage: 1,
    MemLimit: 2,
    BlockInput: 3,
    BlockOutput: 4,
    PIDs: 5,
  };
  const carried = (network: object) => {
    const [first] = readStats({ Error: null, Stats: [{ ...stats, ...network }] });
    return [first?.netRx, first?.netTx];
  };

  it('are added up by Podman 4, and reported by interface by Podman 5', () => {
    expect(carried({ NetInput: 10, NetOutput: 20 })).toEqual([10n, 20n]);
    const [one, other] = [
      { RxBytes: 1, TxBytes: 2 },
      { RxBytes: 30, TxBytes: 40 },
    ];
    expect(carried({ Network: { eth0: one, eth1: other } })).toEqual([31n, 42n]);
    expect(carried({ Network: null })).toEqual([0n, 0n]);
  });

  it('that make no sense are a 502 that names them', () => {
    expect(() => carried({ Network: { eth0: { RxBytes: 'much', TxBytes: 0 } } })).toThrow(
      'stats[0].Network.eth0.RxBytes',
    );
    expect(() => carried({})).toThrow('stats[0].NetInput');
  });
});

it('a stopped container has zeros, whether Podman reports it or not', () => {
  const [told] = readStats({
    Error: null,
    Stats: [
      {
        ContainerID: 'a',
        Name: 'runs',
        CPU: 0.5,
        MemUsage: 1,
        MemLimit: 2,
        NetInput: 3,
        NetOutput: 4,
        BlockInput: 5,
        BlockOutput: 6,
        PIDs: 7,
      },
    ],
  });
  const all = [
    { Id: 'a', Names: ['runs'] },
    { Id: 'b', Names: ['rests'] },
  ];
  const zeros = { cpuPercent: 0, memory: 0n, netRx: 0n, blockWrite: 0n, pids: 0n };
  expect(withIdle(told === undefined ? [] : [told], all)).toMatchObject([
    { id: 'a', memory: 1n },
    { id: 'b', name: 'rests', ...zeros },
  ]);
});

it('statistics that failed are a 502', () => {
  expect(() => readStats({ Error: { message: 'no cgroup' }, Stats: null })).toThrow(
    expect.objectContaining({ code: 502, message: expect.stringContaining('no cgroup') as string }),
  );
});

it('the digest of an image is that of the registry asked', () => {
  const image = {
    Digest: 'sha256:local',
    RepoDigests: ['r:5000/a@sha256:local', 'r:5000/a@sha256:remote', 'b@sha256:b'],
  };
  expect(digestOf('r:5000/a:1', image, 'image')).toBe('sha256:remote');
  expect(digestOf('b', image, 'image')).toBe('sha256:b');
  expect(digestOf('c:1', image, 'image')).toBe('sha256:local');
  expect(digestOf('c@sha256:asked', image, 'image')).toBe('sha256:asked');
});

it('answers of any shape are read or refused with a 502', () => {
  const readers = [
    readStats,
    readImageList,
    readVolume,
    (answer: unknown) => readHostContainers(answer, answer),
    (answer: unknown) => readHostContainers([compatible('a', '')], answer),
    (answer: unknown) => bindMounts({ Mounts: answer }),
  ];
  fc.assert(
    fc.property(fc.anything(), fc.constantFrom(...readers), (answer, read) => {
      try {
        read(answer);
      } catch (error) {
        expect(error).toBeInstanceOf(VerbError);
      }
    }),
  );
});
