import type { ValueType } from '../config/values.ts';

/** The level names, least to most urgent. */
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const;
export type LogLevel = (typeof levels)[number];

/** A log filter like `info,broker.link=debug`: a default level, and levels for named components and their parts. */
export interface LogFilter {
  level: LogLevel;
  components: ReadonlyMap<string, LogLevel>;
}

/** Reads a log filter. `::` separates components like `.`, so that filters written for the Rust programs still work. */
export const logFilter: ValueType<LogFilter> = {
  expected: `one of ${levels.join(', ')}, or a filter such as info,broker=debug`,
  parse(text) {
    let level: LogLevel | undefined;
    const components = new Map<string, LogLevel>();
    for (const directive of text.split(',').map(part => part.trim())) {
      const match = /^(?:([A-Za-z][\w.:-]*)=)?([A-Za-z]+)$/.exec(directive);
      const value = levels.find(known => known === match?.[2]?.toLowerCase());
      if (match === null || value === undefined) return undefined;
      if (match[1] === undefined) level = value;
      else components.set(match[1].replaceAll('::', '.'), value);
    }
    return { level: level ?? 'info', components };
  },
};

/** Returns the level of a component: that of the longest name in the filter that is the component or contains it. */
export function levelOf(filter: LogFilter, component: string): LogLevel {
  for (let name = component; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    const level = filter.components.get(name);
    if (level !== undefined) return level;
  }
  return filter.level;
}
