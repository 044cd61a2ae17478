import { HelloSchema, ListContainersReqSchema, readVerbs } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { containerHandlers } from './containers.ts';
import { handler } from './handler.ts';
import { joinSurface } from './surface.ts';

const podman = { listContainers: () => Promise.resolve([]) };

describe('the closed set', () => {
  it('joins every verb of the .proto with its handler', () => {
    const surface = joinSurface(readVerbs(), containerHandlers(podman));
    expect([...surface.keys()]).toEqual(['listContainers']);
  });

  it('has no verb without a handler', () => {
    expect(() => joinSurface(readVerbs(), {})).toThrow(/list_containers has no handler/);
  });

  it('has no handler without a verb', () => {
    const extra = handler(HelloSchema, HelloSchema, () => Promise.resolve({}));
    expect(() => joinSurface(readVerbs(), { ...containerHandlers(podman), extra })).toThrow(
      /extra has no verb/,
    );
  });

  it('has no handler for other messages', () => {
    const wrong = handler(ListContainersReqSchema, HelloSchema, () => Promise.resolve({}));
    expect(() => joinSurface(readVerbs(), { list_containers: wrong })).toThrow(/other messages/);
  });
});
