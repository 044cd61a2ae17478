import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { FirewallExplainRequestSchema } from '@coold/proto';
import { expect, test } from 'vitest';
import { explainHandlers } from './explain.ts';

const { signal } = new AbortController();
const ask = async (request: MessageInitShape<typeof FirewallExplainRequestSchema>) =>
  await explainHandlers({ readers: undefined } as never)['firewall.explain']?.run(
    create(FirewallExplainRequestSchema, request),
    signal,
  );

test('a coold that must not call C says so, and by which setting', async () => {
  await expect(ask({ src: '10.210.0.2', dst: '10.210.0.3', proto: 'tcp', port: 80 })).rejects.toMatchObject({
    reason: 'not_supported',
    message: expect.stringMatching(/node:ffi is missing, or turned off by COOLD_DNS_IO=node/),
  });
});

test.each([{ proto: 'sctp' }, { port: 80 }, { proto: 'tcp', port: 0 }, { proto: 'tcp', port: 65_536 }])(
  'an invalid flow is refused with its field: %o',
  async form => {
    const field = form.proto === 'sctp' ? 'proto' : 'port';
    await expect(ask({ src: 'a', dst: 'b', ...form })).rejects.toMatchObject({ field });
  },
);
