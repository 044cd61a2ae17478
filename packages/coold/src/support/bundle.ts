import { errorMessage } from '@coold/runtime';
import type { Redactor } from './redact.ts';
import type { ArchivedFile } from './tar.ts';

/** A part of the bundle before its secrets are removed. */
export type Part =
  | { name: string; kind: 'text'; text: string }
  /** A value that is written as JSON. */
  | { name: string; kind: 'json'; value: unknown };

/** Reads one part. When it throws, the bundle says why the part is missing. */
export interface PartSource {
  name: string;
  read(
    signal: AbortSignal,
  ): Promise<Omit<Extract<Part, { kind: 'text' }>, 'name'> | Omit<Extract<Part, { kind: 'json' }>, 'name'>>;
}

/** The most bytes of a part, so that a bundle can be sent by mail. */
export const maxPartBytes = 8 * 1024 * 1024;
const partMs = 45_000;

/** Characters to drop before a cut inside a very long line: longer than any secret of ours. */
const cutMargin = 64 * 1024;

/**
 * Returns a tool's output up to a limit, without the line that the limit cut: the redactor would not recognise half of
 * a secret. Pure.
 */
export function withoutCutEnd(output: string): string {
  const end = Math.max(output.lastIndexOf('\n'), output.length - cutMargin, 0);
  return `${output.slice(0, end)}\n(the rest is left out)\n`;
}

/**
 * Reads all parts at the same time, each with a time limit, and redacts them. Parts that cannot be read are listed in
 * MISSING.txt. Never rejects.
 */
export async function collectParts(
  sources: readonly PartSource[],
  redactor: Redactor,
  timeoutMs = partMs,
): Promise<ArchivedFile[]> {
  const missing: string[] = [];
  const files = await Promise.all(
    sources.map(async ({ name, read }): Promise<ArchivedFile[]> => {
      const within = AbortSignal.timeout(timeoutMs);
      const late = Promise.withResolvers<never>();
      within.addEventListener('abort', () => late.reject(new Error(`no answer within ${timeoutMs} ms`)), {
        once: true,
      });
      try {
        return [{ name, content: render(await Promise.race([read(within), late.promise]), redactor) }];
      } catch (error) {
        missing.push(`${name}: ${redactor.text(errorMessage(error))}\n`);
        return [];
      }
    }),
  );
  const told: ArchivedFile[] =
    missing.length === 0 ? [] : [{ name: 'MISSING.txt', content: Buffer.from(missing.toSorted().join('')) }];
  return [...files.flat(), ...told];
}

function render(part: Awaited<ReturnType<PartSource['read']>>, redactor: Redactor): Buffer {
  const text =
    part.kind === 'json'
      ? `${JSON.stringify(redactor.value(part.value), bigints, 2)}\n`
      : redactor.text(part.text);
  const bytes = Buffer.from(text);
  if (bytes.length <= maxPartBytes) return bytes;
  return Buffer.concat([bytes.subarray(0, maxPartBytes), Buffer.from('\n(the rest is left out)\n')]);
}

const bigints = (_key: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
