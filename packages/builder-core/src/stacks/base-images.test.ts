import { describe, expect, it } from 'vitest';
import { readContainerfile } from '../containerfile/parse.ts';
import { type BaseOptions, type FoundImage, labelOf, readBaseImages } from './base-images.ts';

const digest = `docker.io/c/d@sha256:${'0'.repeat(64)}`;
const options: BaseOptions = { buildArgs: {}, platform: 'linux/amd64' };
const library = 'docker.io/library';
const read = (containerfile: string, more: Partial<BaseOptions> = {}) =>
  readBaseImages(readContainerfile(containerfile), { ...options, ...more });
/** With every image pinned to its label in brackets. */
const pin = (containerfile: string, more: Partial<BaseOptions> = {}, known: Omit<FoundImage, 'id'> = {}) => {
  const bases = read(containerfile, more);
  const labels = [...bases.images.map(labelOf), ...bases.copied];
  const text = bases.pin(new Map(labels.map(label => [label, { id: `<${label}>`, ...known }])));
  return text.replaceAll(`<${library}/`, '<').replaceAll(':latest>', '>').split('\n');
};

describe('the images of a containerfile', () => {
  it.each([
    ['FROM a\n', ['a']],
    ['# from b\nfrom a AS x\nRUN echo FROM c\nFROM x\n', ['a']],
    [`FROM a\nFROM a AS b\nFROM ${digest}\n`, ['a', digest]],
    [
      `FROM a\nFROM a:latest AS b\nFROM docker.io/library/a\nFROM docker.io/c/d:1@sha256:${'0'.repeat(64)}`,
      ['a', digest],
    ],
    ['FROM scratch\n', []],
    ['FROM \\\n  a \\\n# b\n\n  AS x\nRUN y\n', ['a']],
    ['\ufeffFROM a\r\nRUN x\r\n', ['a']],
    ['FROM --platform=linux/amd64 a\nFROM --platform=$BUILDPLATFORM a\n', ['a']],
    ['FROM --platform=linux/arm64 a\nFROM a\n', ['a for linux/arm64', 'a']],
    ['FROM b\nRUN echo \\\n  FROM c\nFROM a\n', ['b', 'a']],
    ['FROM b\nLABEL a=b \\\n\u0085\nFROM=a\n', ['b']],
    ['FROM a\nRUN echo `date`\nRUN x `\nFROM b\n', ['a', 'b']],
    ['# escape=`\nFROM a\nRUN x `\nFROM c\nFROM b\n', ['a', 'b']],
  ])('are in %j', (containerfile, images) => {
    expect(read(containerfile).images.map(labelOf)).toEqual(
      images.map(name =>
        name === digest ? name : `${library}/${name.replace(/^[ab](?= |$)/, '$&:latest')}`,
      ),
    );
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
    expect(read(containerfile, { buildArgs }).images).toEqual([
      { name: `${library}/${image.includes(':') ? image : `${image}:latest`}` },
    ]);
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
    '',
    '# nothing\n',
    'ARG A\n',
    'RUN x\nFROM a\n',
    '# syntax=x\n# escape=`\nFROM a\nRUN x `\nFROM b\n',
    '# escape=x\nFROM a\n',
    'FROM a\nRUN x \\\\\nFROM a\n',
    'FROM a\nLABEL a=b \\\n\ufeff\nFROM a\n',
    'FROM a AS x\nFROM b AS X\n',
    'FROM a AS 1\n',
    'FROM a AS scratch\n',
    `FROM a AS ${'0'.repeat(64)}\n`,
    'FROM a AS x\nFROM b\nCOPY --from=X /a /\n',
    'FROM a\nCOPY --from=0 /a /\n',
    'FROM a\nFROM b\nCOPY --from=2 /a /\n',
  ])('cannot be told from %j, which is refused', containerfile => {
    expect(() => read(containerfile)).toThrow(expect.objectContaining({ code: 422, stage: 'stack' }));
  });

  it('are those of stages up to the target; below it lies the first one of its chain', () => {
    const containerfile = 'FROM a AS x\nFROM b AS y\nFROM x AS z\nFROM c\n';
    const { images, root } = read(containerfile, { target: 'z' });
    expect(images).toEqual([{ name: `${library}/a:latest` }, { name: `${library}/b:latest` }]);
    expect(root).toEqual({ name: `${library}/a:latest` });
    expect(read(containerfile).root).toEqual({ name: `${library}/c:latest` });
    // A stage without a name has its number, counted from 0.
    expect(read(containerfile, { target: '3' }).root).toEqual({ name: `${library}/c:latest` });
    expect(read('FROM a\nFROM b\n', { target: '0' })).toMatchObject({
      images: [{ name: `${library}/a:latest` }],
      root: { name: `${library}/a:latest` },
    });
    expect(read('FROM scratch\n').root).toBeUndefined();
  });

  it('that files are copied from are named apart', () => {
    const steps = [
      ...['COPY --from=x /a /', 'COPY --from=0 /a /', 'copy --chown=1 --from=b:1 /a /'],
      ...['COPY --from=u/c:1 /a /', 'COPY --from=ghcr.io/d /a /', 'COPY --from=last /a /'],
    ];
    const containerfile = `FROM a AS x\nFROM a\n${steps.join('\n')}\nFROM x AS last\n`;
    expect(read(containerfile).copied).toEqual([
      ...[`${library}/b:1`, 'docker.io/u/c:1', 'ghcr.io/d:latest', `${library}/last:latest`],
    ]);
  });
});

describe('a containerfile that is pinned', () => {
  it('has ids, stages and scratch in its FROMs, and nothing after its target', () => {
    const containerfile = [
      ...['# top', 'ARG V=1', 'FROM --platform=$BUILDPLATFORM a:$V \\', '  AS x', 'RUN y'],
      ...['FROM x', 'FROM scratch', 'copy  --from=x  --link a b', 'COPY --from=0001 a b'],
      ...['FROM b AS last', 'COPY --from=c a b', 'FROM c', ''],
    ];
    expect(pin(containerfile.join('\n'), { target: 'last' })).toEqual([
      ...['ARG V=1', 'FROM <a:1> AS x', 'RUN y'],
      ...['FROM x', 'FROM scratch', 'COPY --from=x a b', 'COPY --from=1 a b'],
      ...['FROM <b> AS last', 'COPY --from=<c> a b', ''],
    ]);
  });

  it('has no variables in what it downloads', () => {
    const containerfile = [
      ...['ARG H=1', 'FROM a AS x', 'ARG V="2" W=b H Q=*.jar', 'ENV X=\'$\' Y="$V.0"'],
      ...[
        'ADD --checksum=sha256:x https://x/$H/$V/$' + '{W}/$Y/$E.tar.gz $Q http.$U /d',
        'FROM x',
        'ADD http://x/$Y /d',
      ],
    ];
    expect(pin(containerfile.join('\n'), { buildArgs: { W: 'w' } }, { env: new Map([['E', 'e']]) })).toEqual([
      ...['ARG H=1', 'FROM <a> AS x', 'ARG V="2" W=b H Q=*.jar', 'ENV X=\'$\' Y="$V.0"'],
      ...[
        'ADD --checksum=sha256:x https://x/1/2/w/2.0/e.tar.gz *.jar http.$U /d',
        'FROM x',
        'ADD http://x/2.0 /d',
        '',
      ],
    ]);
  });

  it.each([
    ['ADD https://x/$V /b', {}],
    ['ARG V\nADD https://x/$V /b', {}],
    ['ARG V\nADD https://x/$V /b', { V: 'y.git#main:../../etc' }],
    ['ARG V=x.git#:..\nADD $V /b', { V: 'https://x/y.git#:..' }],
    ['ENV V=https://x/y.git#:..\nADD $V /b', {}],
    ["ENV V='https://x/y.git#:..' W=$V\nENV W=$V\nADD $W /b", {}],
    ['ARG V=a"b"\nADD https://x/$V /b', {}],
    ['ARG V=a b=c\nADD https://x/$V\\ d /b', {}],
    ['ARG V=\nADD $' + '{V:-https://x/y.git} /b', {}],
  ])('clones no repository: %j', (lines, buildArgs) => {
    expect(() => pin(`FROM a\n${lines}\n`, { buildArgs: { ...buildArgs } })).toThrow(
      expect.objectContaining({
        code: 422,
        stage: 'stack',
        message: expect.stringMatching(/^line \d: ADD /),
      }),
    );
  });

  it('gives here-documents to the shell of their place', () => {
    const containerfile = [
      ...[
        'FROM a AS x',
        'RUN <<E',
        'a',
        'E',
        'SHELL ["/s", "-e"]',
        'RUN <<E',
        'b',
        'E',
        'FROM x',
        'RUN <<E',
        'c',
        'E',
      ],
      ...['FROM scratch', 'RUN <<E', 'd', 'E'],
    ];
    const lines = pin(containerfile.join('\n'), {}, { shell: ['/t'] });
    expect(lines.filter(line => line.startsWith('RUN'))).toEqual([
      ...['RUN ["/t","a\\n"]', 'RUN ["/s","-e","b\\n"]', 'RUN ["/s","-e","c\\n"]'],
      'RUN ["/bin/sh","-c","d\\n"]',
    ]);
  });

  it('lets a base image copy from stages before it only', () => {
    const withTrigger = (trigger: string) => () =>
      pin('FROM scratch AS s\nFROM a\n', {}, { triggers: readContainerfile(trigger).instructions });
    for (const stage of ['s', '0'])
      expect(withTrigger(`COPY --from=${stage} /a /`)()).toEqual(['FROM scratch AS s', 'FROM <a>', '']);
    for (const other of ['1', '7', 'b', 'docker.io/library/b'])
      expect(withTrigger(`COPY --from=${other} /a /`)).toThrow(
        /^base image docker\.io\/library\/a:latest: ONBUILD COPY --from=/,
      );
  });

  it('names the images that triggers copy from, each by its digest or id', () => {
    const asked = (lines: string, trigger: string) => {
      const bases = read(lines);
      const { instructions } = readContainerfile(trigger);
      const label = bases.images.map(labelOf);
      return bases.copiedByTriggers(new Map(label.map(name => [name, { id: name, triggers: instructions }])));
    };
    const full = [`docker.io/a/b@sha256:${'0'.repeat(64)}`, '0'.repeat(64)];
    const triggers = [...full, 's', '0'].map(from => `COPY --from=${from} /a /`).join('\n');
    expect(asked('FROM scratch AS s\nFROM a\n', triggers)).toEqual({ images: full, areStages: true });
    expect(asked('FROM a\n', `COPY --from=${full[0]} /a /`)).toEqual({ images: [full[0]], areStages: false });
    for (const lines of [
      'FROM a\nFROM scratch AS s\n',
      'FROM a AS s\n',
      'FROM a\nFROM scratch AS s\nFROM a\n',
    ])
      expect(() => asked(lines, 'COPY --from=s /a /')).toThrow(
        'base image docker.io/library/a:latest: ONBUILD COPY --from=s: expected a stage before it, or the full name of an image with its digest',
      );
    for (const tag of [
      'ghcr.io/a/b:1',
      'docker.io/library/b:latest',
      'localhost/b:1',
      `b@sha256:${'0'.repeat(64)}`,
    ])
      expect(() => asked('FROM a\n', `COPY --from=${tag} /a /`)).toThrow(`--from=${tag}: expected a stage`);
  });

  it('lets a stage that is built on ask for as little as a base image', () => {
    expect(pin('FROM scratch AS s\nFROM a AS b\nONBUILD COPY --from=s /a /\nFROM b\n')).toEqual([
      ...['FROM scratch AS s', 'FROM <a> AS b', 'ONBUILD COPY --from=s /a /', 'FROM b', ''],
    ]);
    expect(pin('FROM a\nONBUILD VOLUME /v\nONBUILD COPY --from=x /a /\n')).toHaveLength(4);
    for (const trigger of ['COPY --from=x /a /', 'VOLUME /v'])
      expect(() => pin(`FROM a AS b\nONBUILD ${trigger}\nFROM b AS x\n`)).toThrow(
        expect.objectContaining({ code: 422, message: expect.stringMatching(/^line 2: /) }),
      );
  });
});
