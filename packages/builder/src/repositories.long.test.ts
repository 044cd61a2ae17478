// Repositories that are more than most.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGround, type Ground } from '../test/ground.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

async function buildOf(repo: string, fields: object = {}) {
  const repo_url = `${ground.daemon.url}/${repo}`;
  return ground.build(ground.request({ repo_url, target_image: `localhost/${repo}:1`, ...fields }));
}

describe('a repository', () => {
  it('may have 50,000 files', async () => {
    await ground.largeRepository('many', 50_000, 0);
    const ended = await buildOf('many');
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.files.sort()).toEqual(['events.ndjson', 'request.json', 'result.json']);
    const listed = await ground.listing('localhost/many:1', '/usr/share/nginx/html');
    expect(listed.filter(line => line.startsWith('f '))).toHaveLength(50_000);
  }, 600_000);

  it('may have a file of 1 GB', async () => {
    await ground.largeRepository('large', 10, 1 << 30);
    const ended = await buildOf('large');
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.files.sort()).toEqual(['events.ndjson', 'request.json', 'result.json']);
    const size = await ground.inImage('localhost/large:1', 'stat -c %s "$d/usr/share/nginx/html/zeros"');
    expect(size).toBe(String(1 << 30));
  }, 600_000);

  it('may have symlinks that lead to each other without an end, each of which is one file', async () => {
    // Who followed them would find 4^20 files.
    const levels = Array.from({ length: 20 }, (_, level) =>
      ['a', 'b', 'c', 'd'].map(name => [`dist/${level}/${name}`, { symlink: `../${level + 1}` }] as const),
    );
    await ground.repository('bomb', {
      ...Object.fromEntries(levels.flat()),
      'dist/20/file': 'x',
      'dist/20/top': { symlink: '../0' },
      Dockerfile: `FROM ${ground.base}\nCOPY dist /dist\n`,
      chain: { symlink: 'chain-1' },
      ...Object.fromEntries(
        Array.from({ length: 60 }, (_, i) => [
          `chain-${i + 1}`,
          { symlink: i === 59 ? 'dist' : `chain-${i + 2}` },
        ]),
      ),
    });
    expect(await buildOf('bomb')).toMatchObject({ code: 0 });
    expect(await ground.listing('localhost/bomb:1', '/usr/share/nginx/html')).toHaveLength(21 + 80 + 2);
    const file = await buildOf('bomb', { stack: 'dockerfile', static_cfg: undefined });
    expect(file).toMatchObject({ code: 0 });
    expect(await ground.listing('localhost/bomb:1', '/dist')).toHaveLength(21 + 80 + 2);
    const config = { base_image: ground.base, output_dir: 'chain' };
    expect(await buildOf('bomb', { static_cfg: config })).toMatchObject({
      code: 1,
      error: {
        code: 422,
        stage: 'stack',
        message: expect.stringContaining('"chain" is a symlink that leads'),
      },
    });
  }, 120_000);
});
