import { describe, expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';

/** Runs statements with a `log` at hand in a process of their own, which alone shows what reaches stderr. */
async function logged(statements: string, { filter = 'info', terminal = false, before = '' } = {}) {
  const program = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./logger.ts'))};
    import { logFilter } from ${JSON.stringify(import.meta.resolve('./log-filter.ts'))};
    ${before}
    const log = createLogger('coold', logFilter.parse(${JSON.stringify(filter)}), ${terminal});
    ${statements}
  `;
  const { code, stdout, stderr } = await runChild(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { timeoutMs: 20_000 },
  );
  expect(stdout).toBe('');
  return { code, lines: stderr.split('\n').slice(0, -1) };
}

function json(lines: string[]): Record<string, unknown>[] {
  return lines.map(line => JSON.parse(line) as Record<string, unknown>);
}

describe('for machines', () => {
  it('a line is one JSON object with level, time, component, fields and message', async () => {
    const { lines } = await logged(`log.child('link').warn({ host: 'a' }, 'two\\nlines');`);
    expect(lines).toHaveLength(1);
    expect(json(lines)[0]).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      component: 'coold.link',
      host: 'a',
      msg: 'two\nlines',
    });
  });

  it('an error has its message and its stack', async () => {
    const { lines } = await logged(`log.error({ err: new Error('no route') }, 'dial failed');`);
    expect(json(lines)[0]).toMatchObject({
      err: { type: 'Error', message: 'no route', stack: expect.stringContaining('no route') },
    });
  });

  it('the last line is not lost when the process ends at once', async () => {
    const { code, lines } = await logged(`log.error('the reason'); process.exit(7);`);
    expect(code).toBe(7);
    expect(json(lines)[0]).toMatchObject({ msg: 'the reason' });
  });
});

describe('the filter', () => {
  const everywhere = `
    const parts = [log, log.child('dns'), log.child('dns').child('zone'), log.child('link')];
    for (const part of parts)
      for (const level of ['trace', 'debug', 'info', 'warn', 'error']) part[level](level);
  `;

  async function seen(filter: string): Promise<Record<string, string[]>> {
    const lines = json((await logged(everywhere, { filter })).lines);
    const byComponent = Map.groupBy(lines, ({ component }) => String(component));
    return Object.fromEntries(
      [...byComponent].map(([component, own]) => [component, own.map(({ level }) => String(level))]),
    );
  }

  it('holds for each component by its own level', async () => {
    expect(await seen('warn,coold.dns=debug,coold.dns.zone=off')).toEqual({
      coold: ['warn', 'error'],
      'coold.dns': ['debug', 'info', 'warn', 'error'],
      'coold.link': ['warn', 'error'],
    });
  });

  it('lets everything through at trace', async () => {
    const all = ['trace', 'debug', 'info', 'warn', 'error'];
    expect(await seen('trace')).toEqual({
      coold: all,
      'coold.dns': all,
      'coold.dns.zone': all,
      'coold.link': all,
    });
  });

  it('lets nothing through when off', async () => {
    expect(await seen('off')).toEqual({});
  });
});

it('on a terminal, a line is not JSON but has the same content', async () => {
  const { lines } = await logged(`log.warn({ host: 'a' }, 'gone');`, { terminal: true });
  expect(lines).toHaveLength(1);
  expect(() => json(lines)).toThrow(SyntaxError);
  for (const part of ['WARN', 'gone', 'host', 'coold']) expect(lines[0]).toContain(part);
});

it('for the journal, a line begins with its priority, and no other reader sees one', async () => {
  const everything = `for (const level of ['trace', 'debug', 'info', 'warn', 'error']) log.child('link')[level](level);`;
  // As systemd does it: the variable names the very stream that stderr is.
  const journal = `
    import { fstatSync } from 'node:fs';
    const { dev, ino } = fstatSync(2, { bigint: true });
    process.env.JOURNAL_STREAM = \`\${dev}:\${ino}\`;`;
  const { lines } = await logged(everything, { filter: 'trace', before: journal });
  expect(lines.map(line => [line.slice(0, 3), json([line.slice(3)])[0]?.['level']])).toEqual([
    ['<7>', 'trace'],
    ['<7>', 'debug'],
    ['<6>', 'info'],
    ['<4>', 'warn'],
    ['<3>', 'error'],
  ]);
  const elsewhere = `process.env.JOURNAL_STREAM = '1:2';`;
  expect(json((await logged(everything, { before: elsewhere })).lines)).toHaveLength(3);
});
