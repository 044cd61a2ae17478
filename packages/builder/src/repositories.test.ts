// Repositories that are more than most.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGround, type Ground } from './testing-ground.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
  await ground.largeRepository('large', 5000, 50_000_000);
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

describe('a repository', () => {
  it('may have thousands of files and a large one', async () => {
    const ended = await ground.build(
      ground.request({ repo_url: `${ground.daemon.url}/large`, target_image: 'localhost/large:1' }),
    );
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.files.sort()).toEqual(['events.ndjson', 'request.json', 'result.json']);
    const listed = await ground.listing('localhost/large:1', '/usr/share/nginx/html');
    expect(listed.filter(line => line.startsWith('f '))).toHaveLength(5001);
  }, 180_000);
});
