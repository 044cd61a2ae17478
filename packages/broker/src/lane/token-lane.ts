import { FieldError } from '@coold/proto';
import { isObject } from '@coold/runtime';
import type { FastifyInstance } from 'fastify';
import type { RevocationEdits } from '../agent/revocation.ts';
import { RefusedError } from '../hosts/refused-error.ts';
import { tokenId } from '../hosts/token-id.ts';

/** The calls that revoke tokens (docs/contract.md §2). `edits` is undefined where this broker has no file for them. */
export function addTokenRoutes(lane: FastifyInstance, edits: RevocationEdits | undefined): void {
  const kept = () => {
    if (edits === undefined)
      throw new RefusedError(
        'not_configured',
        'BROKER_REVOKED_FILE is not set: this broker keeps no list of revoked tokens',
      );
    return edits;
  };

  lane.get('/v1/tokens/revoke', () => {
    const { hosts, tokens } = kept().list();
    return [...[...hosts].map(host_id => ({ host_id })), ...[...tokens].map(jti => ({ jti }))];
  });

  lane.post('/v1/tokens/revoke', async ({ body }) => {
    const to = kept();
    const jti = readTokenId(readBody(body)['jti']);
    await to.revoke(jti);
    return { jti };
  });

  lane.delete<{ Params: { jti: string } }>('/v1/tokens/revoke/:jti', async ({ params }, reply) => {
    const to = kept();
    await to.restore(readTokenId(params.jti));
    return reply.code(204).send();
  });
}

function readBody(body: unknown): Record<string, unknown> {
  if (!isObject(body)) throw new FieldError('body', 'expected an object such as {"jti":"…"}');
  return body;
}

function readTokenId(value: unknown): string {
  const read = typeof value === 'string' ? tokenId.parse(value) : undefined;
  if (read === undefined) throw new FieldError('jti', `expected a token id: ${tokenId.expected}`);
  return read;
}
