import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VerbError } from '../api/verb-error.ts';
import { bindMounts } from './containers.ts';
import { readHostContainers, readStats } from './host.ts';
import { digestOf, readImageList } from './images.ts';
import { readVolume } from './volumes.ts';

const compatible = (id: string, address: string) => ({
  Id: id,
  NetworkSettings: { Networks: { n: { IPAddress: address } } },
});
const libpod = (id: string, health: string) => ({
  ...{ Id: id, Names: [id], Image: 'i', State: 'Running', Status: health },
});

describe("Podman's two lists", () => {
  it('are joined: health of one, addresses of the other, what both have', () => {
    const [a, b, gone] = [compatible('a', '10.0.0.2'), compatible('b', ''), compatible('gone', '')];
    expect(
      readHostContainers([a, b, gone], [libpod('a', 'healthy'), libpod('b', ''), libpod('new', '')]),
    ).toEqual([
      {
        ...{ id: 'a', name: 'a', image: 'i', state: 'running', health: 'healthy' },
        ...{ networks: ['n'], addresses: { n: '10.0.0.2' }, labels: {} },
      },
      {
        ...{ id: 'b', name: 'b', image: 'i', state: 'running', health: 'unknown' },
        ...{ networks: ['n'], addresses: {}, labels: {} },
      },
    ]);
  });
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
