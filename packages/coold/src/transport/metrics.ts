import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Call } from '../verbs/calls.ts';

/** This process's metrics for Prometheus. */
export interface Metrics {
  count(call: Call): void;
  /** Registers the metrics of a part of this process. */
  extend(add: (registry: Registry) => void): void;
  render(): Promise<{ contentType: string; text: string }>;
}

/** How often the event loop's delay is sampled, in ms: at the library's 10, an idle coold would wake up a hundred times a second. */
const eventLoopMonitoringPrecision = 100;

/** Uses its own registry, so that each instance has only what it counted. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision });
  const registers = [registry];
  new Gauge({
    name: 'coold_build_info',
    help: 'Version of the program and of Node; always 1',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const requests = new Counter({
    name: 'coold_verb_requests_total',
    help: 'Calls of verbs, by response status; 499: the caller left before its answer',
    labelNames: ['verb', 'transport', 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'coold_verb_duration_seconds',
    help: 'How long verbs took until their answer was handed over',
    labelNames: ['verb', 'transport'],
    // Between 10 s and 15 s are containers that ignore SIGTERM. Builds and pulls end within 15 min.
    buckets: [
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 8.5, 10.5, 16, 30, 60, 120, 310,
      900,
    ],
    registers,
  });
  return {
    count({ verb, transport, status, durationMs }) {
      requests.inc({ verb, transport, code: status });
      duration.observe({ verb, transport }, durationMs / 1000);
    },
    extend: add => add(registry),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
