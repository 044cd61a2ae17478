import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Call } from './calls.ts';

/** What Prometheus reads of this process. */
export interface Metrics {
  count(call: Call): void;
  /** Adds what a part of this process has to say of itself. */
  extend(add: (registry: Registry) => void): void;
  render(): Promise<{ contentType: string; text: string }>;
}

/** In a registry of its own, so that each has only what it counted. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  new Gauge({
    name: 'coold_build_info',
    help: 'What runs here; always 1',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const requests = new Counter({
    name: 'coold_verb_requests_total',
    help: 'Calls of verbs, by the status they were answered with; 499: the caller left before its answer',
    labelNames: ['verb', 'transport', 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'coold_verb_duration_seconds',
    help: 'How long verbs took, until the answer was handed over',
    labelNames: ['verb', 'transport'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600],
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
