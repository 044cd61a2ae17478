import type { ValueType } from './values.ts';

/** Level names as operators write them, least to most urgent. */
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const;
export type LogLevel = (typeof levels)[number];

/** `info,broker.link=debug`: a level for everything, and others for named components and what lies below them. */
export interface LogFilter {
  level: LogLevel;
  components: ReadonlyMap<string, LogLevel>;
}

/** `::` separates as `.` does, so that filters written for the Rust programs keep their meaning. */
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

/** The level of a component: that of the longest name in the filter that it is or lies below. */
export function levelOf(filter: LogFilter, component: string): LogLevel {
  for (let name = component; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    const level = filter.components.get(name);
    if (level !== undefined) return level;
  }
  return filter.level;
}
