import { hash } from 'node:crypto';
import { VerbError } from '@coold/errors';
import {
  ImagesDeleteRequestSchema,
  ImagesDeleteResponseSchema,
  ImagesListRequestSchema,
  ImagesListResponseSchema,
  ImagesPullRequestSchema,
  ImagesPullResponseSchema,
} from '@coold/proto';
import { type Handler, handler } from '../handler.ts';
import type { PodmanImages, RegistryAuth } from '../podman/images.ts';
import type { Coalescer } from './coalesce.ts';
import { checkRef, invalid } from './names.ts';

/** However long a registry stalls, in ms. A caller whose dispatch ended earlier (504 after 10 s) repeats it and joins. */
const pullTimeoutMs = 15 * 60_000;
/** Pulls that may continue after their callers left. Each holds a connection and disk space. */
const maxUnattended = 16;
const maxCredentialLength = 16 * 1024;

/** The image verbs. A pull's credentials go to Podman with the request and are not kept. */
export function imageHandlers(
  images: PodmanImages,
  coalescer: Coalescer,
  { timeoutMs = pullTimeoutMs } = {},
): Record<string, Handler> {
  return {
    'images.pull': handler(ImagesPullRequestSchema, ImagesPullResponseSchema, async (request, signal) => {
      const ref = checkRef(request.ref, 'ref');
      const { auth } = request;
      if (auth !== undefined) checkAuth(auth);
      return {
        digest: await coalescer
          .run(
            `images.pull ${ref} ${auth === undefined ? '' : fingerprint(auth)}`,
            signal,
            unattended => images.pull(ref, auth, { timeoutMs }, unattended),
            { maxUnattended },
          )
          .catch((error: unknown) => {
            throw namingRef(error);
          }),
      };
    }),
    'images.list': handler(ImagesListRequestSchema, ImagesListResponseSchema, async (_request, signal) => ({
      images: await images.list(signal),
    })),
    'images.delete': handler(
      ImagesDeleteRequestSchema,
      ImagesDeleteResponseSchema,
      async (request, signal) => {
        const ref = checkRef(request.ref, 'ref');
        await coalescer
          .run(`images.delete ${ref}`, signal, unattended => images.remove(ref, unattended))
          .catch((error: unknown) => {
            throw namingRef(error);
          });
        return {};
      },
    ),
  };
}

/** The only part of a request that Podman still refuses is the reference, for example because a part is too long. */
function namingRef(error: unknown): unknown {
  if (!(error instanceof VerbError) || error.reason !== 'invalid_request' || error.field !== undefined)
    return error;
  return new VerbError(error.reason, `ref: ${error.message}`, { field: 'ref', cause: error.cause });
}

/**
 * Part of the key that pulls join by: a caller with wrong credentials gets the refusal even while another pull of the
 * same image succeeds.
 */
function fingerprint({ username, password }: RegistryAuth): string {
  return hash('sha256', JSON.stringify([username, password]), 'hex');
}

/** Messages never contain the values. */
function checkAuth(auth: { username: string; password: string }): void {
  for (const key of ['username', 'password'] as const)
    if (auth[key] === '' || auth[key].length > maxCredentialLength)
      throw invalid(`auth.${key}`, `expected text of 1 to ${maxCredentialLength} characters`);
}
