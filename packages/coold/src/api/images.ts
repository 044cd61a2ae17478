import { hash } from 'node:crypto';
import {
  ImagesDeleteRequestSchema,
  ImagesDeleteResponseSchema,
  ImagesListRequestSchema,
  ImagesListResponseSchema,
  ImagesPullRequestSchema,
  ImagesPullResponseSchema,
} from '@coold/proto';
import type { PodmanImages, RegistryAuth } from '../podman/images.ts';
import { type Handler, handler } from './handler.ts';
import type { Joined } from './joined.ts';
import { checkRef, invalid } from './names.ts';

/** However long a registry stalls. A caller whose dispatch ended before (504 after 10 s) repeats it and joins. */
const pullTimeoutMs = 15 * 60_000;
/** Pulls that go on after their callers left: each holds a connection, and a part of the disk. */
const maxUnattended = 16;
const maxCredentialLength = 16 * 1024;

/** The image verbs. A pull's credentials go to Podman with the request and are kept nowhere. */
export function imageHandlers(
  images: PodmanImages,
  joined: Joined,
  { timeoutMs = pullTimeoutMs } = {},
): Record<string, Handler> {
  return {
    'images.pull': handler(ImagesPullRequestSchema, ImagesPullResponseSchema, async (request, signal) => {
      const ref = checkRef(request.ref, 'ref');
      const { auth } = request;
      if (auth !== undefined) checkAuth(auth);
      return {
        digest: await joined.run(
          `images.pull ${ref} ${auth === undefined ? '' : fingerprint(auth)}`,
          signal,
          unattended => images.pull(ref, auth, { timeoutMs }, unattended),
          { maxUnattended },
        ),
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
        await joined.run(`images.delete ${ref}`, signal, unattended => images.remove(ref, unattended));
        return {};
      },
    ),
  };
}

/** Whose credentials are wrong learns it, also while another's pull of the same image goes well. */
function fingerprint({ username, password }: RegistryAuth): string {
  return hash('sha256', JSON.stringify([username, password]), 'hex');
}

/** The values themselves are never named. */
function checkAuth(auth: { username: string; password: string }): void {
  for (const key of ['username', 'password'] as const)
    if (auth[key] === '' || auth[key].length > maxCredentialLength)
      throw invalid(`auth.${key}`, `expected text of 1 to ${maxCredentialLength} characters`);
}
