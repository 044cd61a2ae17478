import { toJson } from '@bufbuild/protobuf';
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import { invalid } from '../names.ts';

const unitNs = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const maxNs = 365 * 24 * 3600e9;

/**
 * Parses a duration of a healthcheck (docs/contract.md §3): a number of seconds, or Go's notation, "5s", "1m30s",
 * "1.5h".
 *
 * @returns nanoseconds; undefined when absent
 * @throws VerbError 400 naming the field: negative, more than a year, or no duration
 */
export function readDuration(value: Value | undefined, field: string): number | undefined {
  if (value === undefined || value.kind.case === undefined) return undefined;
  const json = toJson(ValueSchema, value);
  const ns = typeof json === 'number' ? json * 1e9 : typeof json === 'string' ? parseGo(json) : undefined;
  if (ns === undefined || !(ns >= 0 && ns <= maxNs))
    throw invalid(field, 'expected seconds as a number, or text such as "5s" or "1m30s"');
  return Math.round(ns);
}

function parseGo(text: string): number | undefined {
  if (text === '0') return 0;
  if (text.length > 64 || !/^(?:\d+(?:\.\d+)?(?:ns|us|\u00b5s|ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|\u00b5s|ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * unitNs[unit as keyof typeof unitNs],
    0,
  );
}
