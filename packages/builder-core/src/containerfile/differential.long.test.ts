// What we render is what buildah builds: its own parsers, of Debian 12 and of Debian 13, find in our text what we rendered it
// from, and in the original what we found there. For long, with other files each time:
// COOLD_FUZZ_CONTAINERFILES=1000000 [COOLD_FUZZ_SEED=1] npm test -- differential
import { beforeAll, describe, expect, it } from 'vitest';
import { createGenerator } from '../../test/containerfile-generator.ts';
import {
  buildParser,
  type ParsedInstruction,
  type ParserAnswer,
  parseAll,
  type Release,
} from '../../test/imagebuilder.ts';
import { BuildFailure } from '../build-failure.ts';
import { writeFlag } from './flags.ts';
import type { Command, Containerfile, Flag, Instruction } from './instruction.ts';
import { defaultShell, normalise } from './normalise.ts';
import { readContainerfile } from './parse.ts';
import { inRepository } from './refusal.ts';
import { renderContainerfile } from './render.ts';
import { checkRestrictions } from './restrictions.ts';

const count = Number(process.env['COOLD_FUZZ_CONTAINERFILES'] ?? 20_000);
const seed = Number(process.env['COOLD_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const batch = 2000;
/** Building them takes a minute, reading a million files twenty. */
const timeoutMs = 600_000 + count * 4;

const releases: readonly Release[] = ['bookworm', 'trixie'];
let programs: Record<Release, string>;

beforeAll(async () => {
  programs = { bookworm: await buildParser('bookworm'), trixie: await buildParser('trixie') };
}, timeoutMs);

/** undefined: refused. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof BuildFailure && error.code === 422) {
      expect(error.message).toMatch(/^line [1-9][0-9]*: /);
      return undefined;
    }
    throw error;
  }
}

/** As buildah gets it, but for the images, see base-images.model.test.ts. */
function normalised({ escapeCharacter, instructions }: Containerfile): Containerfile {
  const made = instructions.map(instruction => normalise(instruction, defaultShell, inRepository));
  return { escapeCharacter, instructions: made };
}

/** What a parser of buildah is to find. */
function parsedOf(instruction: Instruction): ParsedInstruction {
  const common = {
    name: instruction.name.toLowerCase(),
    flags: [],
    json: false,
    triggers: [],
    documents: [],
  };
  const flagged = (flags: readonly Flag[]) => ({ ...common, flags: flags.map(writeFlag) });
  const wordsOf = (command: Command) => (command.form === 'exec' ? [...command.words] : [command.text]);
  switch (instruction.name) {
    case 'FROM': {
      const { image, platform, stage } = instruction;
      const words = stage === undefined ? [image] : [image, 'AS', stage];
      return { ...flagged(platform === undefined ? [] : [{ name: 'platform', value: platform }]), words };
    }
    case 'RUN': {
      const { flags, command } = instruction;
      const documents = instruction.documents.map(({ name, content, stripTabs }) => ({
        name,
        chomp: stripTabs,
        content: content === '' ? '' : `\n${content.slice(0, -1)}`,
      }));
      return { ...flagged(flags), words: wordsOf(command), json: command.form === 'exec', documents };
    }
    case 'COPY':
    case 'ADD': {
      const { flags, sources, destination, json } = instruction;
      return { ...flagged(flags), words: [...sources, destination], json };
    }
    case 'ENV':
    case 'LABEL': {
      if ('key' in instruction) return { ...common, words: [instruction.key, instruction.value] };
      const pairs = instruction.words.map(word => [
        word.slice(0, word.indexOf('=')),
        word.slice(word.indexOf('=') + 1),
      ]);
      return { ...common, words: pairs.flat() };
    }
    case 'ARG':
    case 'EXPOSE':
      return { ...common, words: [...instruction.words] };
    case 'VOLUME':
      return { ...common, words: [...instruction.words], json: instruction.json };
    case 'CMD':
    case 'ENTRYPOINT':
      return { ...common, words: wordsOf(instruction.command), json: instruction.command.form === 'exec' };
    case 'SHELL':
      return { ...common, words: [...instruction.words], json: true };
    case 'HEALTHCHECK': {
      const { flags, command } = instruction;
      return command === undefined
        ? { ...flagged(flags), words: ['NONE'] }
        : { ...flagged(flags), words: ['CMD', ...wordsOf(command)], json: command.form === 'exec' };
    }
    case 'USER':
    case 'WORKDIR':
    case 'STOPSIGNAL':
    case 'MAINTAINER':
      return { ...common, words: [instruction.text] };
    case 'ONBUILD':
      return { ...common, words: [''], triggers: [parsedOf(instruction.trigger)] };
  }
}

/** Words of ours that parsers leave in the case in which they were written. */
function withOurCase(parsed: ParsedInstruction): ParsedInstruction {
  const at = parsed.name === 'from' ? 1 : parsed.name === 'healthcheck' ? 0 : -1;
  const words = parsed.words.map((word, index) => (index === at ? word.toUpperCase() : word));
  return { ...parsed, words, triggers: parsed.triggers.map(withOurCase) };
}

function expectSame(answer: ParserAnswer | undefined, tree: Containerfile, text: string): void {
  const found = { error: answer?.error, instructions: answer?.instructions?.map(withOurCase) };
  const wanted = { error: '', instructions: tree.instructions.map(parsedOf) };
  // Compared as text first: of a million, none should take long.
  if (JSON.stringify(sorted(found)) !== JSON.stringify(sorted(wanted)))
    expect(found, `seed ${seed}: ${JSON.stringify(text)}`).toEqual(wanted);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  );
}

interface Case {
  text: string;
  tree: Containerfile;
  /** What buildah gets; absent: refused, though it was understood. */
  made?: { tree: Containerfile; text: string };
}

function caseOf(text: string): Case | undefined {
  const tree = attempt(() => readContainerfile(text));
  if (tree === undefined) return undefined;
  const made = attempt(() => {
    checkRestrictions(tree.instructions, inRepository);
    const normal = normalised(tree);
    return { tree: normal, text: renderContainerfile(normal, inRepository) };
  });
  return made === undefined ? { text, tree } : { text, tree, made };
}

const hasDocuments = ({ instructions }: Containerfile) =>
  instructions.some(one => one.name === 'RUN' && one.documents.length > 0);

async function compare(cases: readonly Case[], release: Release): Promise<void> {
  const program = programs[release];
  // The parser of Debian 12 takes lines of a here-document for instructions: it gets none.
  const originals = cases.filter(({ tree }) => release === 'trixie' || !hasDocuments(tree));
  const answers = await parseAll(
    program,
    originals.map(({ text }) => text),
  );
  for (const [at, { tree, text }] of originals.entries()) expectSame(answers[at], tree, text);
  const rendered = cases.flatMap(({ made }) => made ?? []);
  const again = await parseAll(
    program,
    rendered.map(({ text }) => text),
  );
  for (const [at, { tree, text }] of rendered.entries()) {
    expectSame(again[at], tree, text);
    // Our own reader is of the same opinion.
    const read = attempt(() => readContainerfile(text));
    expect(read?.instructions.map(parsedOf), JSON.stringify(text)).toEqual(tree.instructions.map(parsedOf));
  }
}

describe.each(releases)("as buildah's parser of %s reads it", release => {
  it.each([
    'FROM a\n',
    '\ufeffFROM a\r\nRUN b\\\r\n  c\r\n',
    '# escape=`\nFROM a\nRUN dir C:\\ `\n  b\nENV a=b` c\n',
    'from --platform="linux/amd64" a as B\nHealthCheck --interval=3s cmd ["a"]\nhealthcheck none\n',
    'FROM a\nENV a b  c\nENV a="b c" d=\'e"\' f=g\\ h\nLABEL "a b"=c\nARG A B=c\nEXPOSE 1 2/udp\n',
    'FROM a\nCOPY --from=b ["c d", "e"]\nCOPY a  b\tc\nADD x /y\nVOLUME ["/a b"]\nVOLUME /a /b\n',
    'FROM a\nONBUILD RUN --mount=type=tmpfs,target=/x a\nCMD []\nENTRYPOINT ["a","\\u00e9\\u2028\\ud83d\\ude00"]\nSHELL ["a"]\n',
    'FROM a\nRUN [ -f x ] && [[ y ]]\nRUN echo "日本　語"\u3000x\nUSER a b\nWORKDIR /a b\nSTOPSIGNAL 9\nMAINTAINER a <b>\n',
    'FROM a\nRUN <<EOF\nFROM b\nEOF\nRUN cat <<-A - <<"B" > /x\n\ta\n\tA\n# b\nB\nCOPY a b\n',
    'FROM a\nRUN <<EOF\nEOF\nRUN true\n',
    'FROM a\nCMD ["a", "b"] # c\nRUN ["a" "b"] && [ "c" ]\nRUN [ "a" = b ]\nENTRYPOINT ["a",]\n',
  ])('is %j', async text => {
    const one = caseOf(text);
    expect(one?.made).toBeDefined();
    if (one !== undefined) await compare([one], release);
  });

  it(
    'is what was rendered, and what was read',
    async () => {
      const next = createGenerator(seed);
      let accepted = 0;
      let rendered = 0;
      for (let done = 0; done < count; done += batch) {
        const cases = Array.from({ length: Math.min(batch, count - done) }, () => caseOf(next())).filter(
          one => one !== undefined,
        );
        accepted += cases.length;
        rendered += cases.filter(({ made }) => made !== undefined).length;
        await compare(cases, release);
      }
      process.stderr.write(
        `containerfiles against ${release}: seed ${seed}, ${count} made, ${accepted} understood, ${rendered} rendered\n`,
      );
      // Most are refused, and enough are not.
      expect(rendered).toBeGreaterThan(count / 20);
    },
    timeoutMs,
  );
});
