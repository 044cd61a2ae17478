import { boolean, defineCommand, ipv4 } from '@coold/runtime';
import { expect, test } from 'vitest';
import { environmentFile } from './environment-file.ts';

test('names every variable with its help and default, and sets none', () => {
  const command = defineCommand({
    name: 'demo',
    envPrefix: 'DEMO_',
    summary: 'shows',
    options: {
      hostIp: { type: ipv4, required: true, help: 'The address' },
      other: { type: ipv4, help: 'Another' },
      quiet: { type: boolean, default: 'false', help: 'Says less' },
    },
  });
  expect(environmentFile(command)).toBe(`# demo: shows

# The address (required)
#DEMO_HOST_IP=

# Another
#DEMO_OTHER=

# Says less
#DEMO_QUIET=false
`);
});
