import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'proto/src/**/*.test.ts',
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'packaging/**/*.test.ts',
      'systemd/*.test.ts',
      'e2e/**/*.test.ts',
    ],
    // Real processes, kernels and Podmans: generous where a machine is slow, and never a hang.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
