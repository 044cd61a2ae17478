import { VerbError } from '@coold/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readContainerList } from './answer.ts';

const container = {
  Id: 'abc',
  Names: ['/web', '/alias'],
  Image: 'localhost/tiny:latest',
  State: 'Running',
  NetworkSettings: { Networks: { zeta: {}, alpha: {} } },
};

describe("Podman's list", () => {
  it('is read in our terms: first name without its slash, state lower-case, networks sorted', () => {
    expect(readContainerList([container])).toEqual([
      {
        id: 'abc',
        name: 'web',
        image: 'localhost/tiny:latest',
        state: 'running',
        networks: ['alpha', 'zeta'],
      },
    ]);
  });

  it.each([
    ['no network settings', { ...container, NetworkSettings: null }],
    ['no networks', { ...container, NetworkSettings: { Networks: null } }],
  ])('with %s is a container of none', (_, entry) => {
    expect(readContainerList([entry])).toMatchObject([{ networks: [] }]);
  });

  it.each<[string, unknown, string]>([
    ['no list', { message: 'hello' }, 'the list'],
    ['an entry that is null', [null], '[0]'],
    ['no id', [container, { ...container, Id: undefined }], '[1].Id'],
    ['no name', [{ ...container, Names: [] }], '[0].Names[0]'],
    ['a number for state', [{ ...container, State: 3 }], '[0].State'],
    ['networks as a list', [{ ...container, NetworkSettings: { Networks: [] } }], 'Networks'],
  ])('that has %s is a 502 that names it', (_, answer, named) => {
    expect(() => readContainerList(answer)).toThrow(
      expect.objectContaining({ code: 502, message: expect.stringContaining(named) }),
    );
  });

  it('of any shape is read or refused with a 502', () => {
    fc.assert(
      fc.property(fc.anything(), answer => {
        try {
          readContainerList(answer);
        } catch (error) {
          expect(error).toBeInstanceOf(VerbError);
        }
      }),
    );
  });
});
