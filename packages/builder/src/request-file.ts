import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type BuildRequest, forgetSecretsIn, RequestError, readBuildRequest } from '@coold/builder-core';
import { errorMessage } from '@coold/runtime/unknown-values';

const maxBytes = 1 << 20;

/**
 * Reads a request and removes the credentials from the file. From then on only this process has them.
 *
 * @throws RequestError naming the field, or the file when it cannot be read
 */
export async function takeRequestFile(path: string): Promise<BuildRequest> {
  const request = parse(await read(path));
  await forgetSecretsIn(path).catch((error: Error) => {
    throw new RequestError('request.json', `its credentials cannot be removed: ${error.message}`);
  });
  return readBuildRequest(request);
}

async function read(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new Error('not a file');
      if (stats.size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`);
      return new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new RequestError('request.json', `cannot be read: ${errorMessage(error)}`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RequestError('request.json', `is not JSON: ${errorMessage(error)}`);
  }
}
