import { describe, expect, it } from 'vitest';
import { type BaseOptions, labelOf, readBaseImages } from './base-images.ts';

const digest = `docker.io/c/d:1@sha256:${'0'.repeat(64)}`;
const options: BaseOptions = { buildArgs: {}, platform: 'linux/amd64' };
const read = (containerfile: string, more: Partial<BaseOptions> = {}) =>
  readBaseImages(containerfile, { ...options, ...more });
/** With every image pinned to its label in brackets. */
const pin = (containerfile: string, more: Partial<BaseOptions> = {}) => {
  const bases = read(containerfile, more);
  return bases.pin(new Map(bases.images.map(image => [labelOf(image), `<${labelOf(image)}>`])));
};

describe('the images of a containerfile', () => {
  it.each([
    ['FROM a\n', ['a']],
    ['# from b\nfrom a AS x\nRUN echo FROM c\nFROM x\n', ['a']],
    [`FROM a\nFROM a AS b\nFROM ${digest}\n`, ['a', digest]],
    ['FROM scratch\n', []],
    ['FROM \\\n  a \\\n# b\n\n  AS x\nRUN y\n', ['a']],
    ['\ufeffFROM a\r\nRUN x\r\n', ['a']],
    ['FROM --platform=linux/amd64 a\nFROM --platform=$BUILDPLATFORM a\n', ['a']],
    ['FROM --platform=linux/arm64 a\nFROM a\n', ['a for linux/arm64', 'a']],
    ['RUN echo \\\n  FROM b\nFROM a\n', ['a']],
    ['LABEL a=b \\\n\ufeff\nFROM a\n', ['a']],
    ['LABEL a=b \\\n\u0085\nFROM a\n', []],
    ['FROM a\nRUN echo `date`\nRUN x `\nFROM b\n', ['a', 'b']],
  ])('are in %j', (containerfile, images) => {
    expect(read(containerfile).images.map(labelOf)).toEqual(images);
  });

  it.each([
    ['ARG V=1\nFROM a:$V\n', {}, 'a:1'],
    ['ARG V=1\nFROM a:$V\n', { V: '2' }, 'a:2'],
    ['ARG V\nFROM a:$' + '{V}-b\n', { V: '2' }, 'a:2-b'],
    ['ARG V="1"\nARG I=a:$V\nFROM $I\n', {}, 'a:1'],
    ['ARG V=1 W=b\nFROM $W:$V\n', {}, 'b:1'],
    ['FROM a:$' + '{V:-1}\n', {}, 'a:1'],
    ['ARG V=\nFROM a:$' + '{V:-1}\n', {}, 'a:1'],
    ['FROM a-$TARGETARCH\n', {}, 'a-amd64'],
    ['ARG TARGETARCH\nFROM a-$TARGETARCH\n', {}, 'a-amd64'],
  ])('are named with arguments: %j', (containerfile, buildArgs, image) => {
    expect(read(containerfile, { buildArgs }).images).toEqual([{ name: image }]);
  });

  it.each([
    'FROM $V\n',
    'FROM a\nARG V=1\nFROM b:$V\n',
    'ARG V=a"b c"\nFROM $V\n',
    'FROM $' + '{V:+x}\n',
    'FROM $' + '{V%x}\n',
    'FROM "a"\n',
    'FROM a AS x\nFROM X\n',
    'FROM tarball:/etc/x.tar\n',
    'FROM docker-archive:/x\n',
    'FROM ../x\n',
    'FROM --from=x a\n',
    'FROM --platform=$NOTHING a\n',
    'FROM --platform=--help a\n',
    'FROM a b\n',
    'FROM a AS\n',
    'FROM a AS $X\n',
    'FROM\n',
    'FROM\u00a0a\n',
    'FROM a\u00a0AS b\n',
    '# escape=`\nRUN x \\\nFROM a\n',
    '# escape=`\nRUN x `\nFROM a\n',
    'RUN x \\\\\nFROM a\n',
  ])('cannot be told from %j, which is refused', containerfile => {
    expect(() => read(containerfile)).toThrow(expect.objectContaining({ code: 422, stage: 'stack' }));
  });

  it('are those of stages up to the target; below it lies the first one of its chain', () => {
    const containerfile = 'FROM a AS x\nFROM b AS y\nFROM x AS z\nFROM c\n';
    const { images, root } = read(containerfile, { target: 'z' });
    expect(images).toEqual([{ name: 'a' }, { name: 'b' }]);
    expect(root).toEqual({ name: 'a' });
    expect(read(containerfile).root).toEqual({ name: 'c' });
    // A stage without a name has its number, counted from 0.
    expect(read(containerfile, { target: '3' }).root).toEqual({ name: 'c' });
    expect(read('FROM a\nFROM b\n', { target: '0' })).toMatchObject({
      images: [{ name: 'a' }],
      root: { name: 'a' },
    });
    expect(read('FROM scratch\n').root).toBeUndefined();
  });

  it('that files are copied from are named apart', () => {
    const steps = [
      'COPY --from=x /a /',
      'COPY --from=0 /a /',
      'copy --chown=1 --from=b:1 /a /',
      'RUN --from=c',
    ];
    expect(read(`FROM a AS x\nFROM a\n${steps.join('\n')}\nCOPY --from=$Y /a /\n`).copied).toEqual(['b:1']);
  });
});

describe('a containerfile that is pinned', () => {
  it('has ids, stages and scratch in its FROMs, and every other line as it was', () => {
    const containerfile = [
      ...['# top', 'ARG V=1', 'FROM --platform=$BUILDPLATFORM a:$V \\', '  AS x', 'RUN y'],
      ...['FROM x', 'FROM scratch', 'FROM b AS last', 'FROM c', ''],
    ];
    expect(pin(containerfile.join('\n'), { target: 'last' }).split('\n')).toEqual([
      ...['# top', 'ARG V=1', 'FROM <a:1> AS x', '', 'RUN y'],
      ...['FROM x', 'FROM scratch', 'FROM <b> AS last', 'FROM scratch', ''],
    ]);
  });
});
