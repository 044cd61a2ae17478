import { HostJwtSetRequestSchema, HostJwtSetResponseSchema } from '@coold/proto';
import { type Handler, handler } from '../handler.ts';
import { replaceToken, TokenRefused } from '../link/host-token.ts';
import { invalid } from './names.ts';

/** @param onReplaced called once the file holds the new token */
export function hostJwtHandlers(path: string, onReplaced: () => void): Record<string, Handler> {
  return {
    'host.jwt.set': handler(HostJwtSetRequestSchema, HostJwtSetResponseSchema, async ({ token }) => {
      try {
        await replaceToken(path, token);
      } catch (error) {
        if (error instanceof TokenRefused) throw invalid('token', error.message);
        throw error;
      }
      onReplaced();
      return {};
    }),
  };
}
