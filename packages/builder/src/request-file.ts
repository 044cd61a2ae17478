import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type BuildRequest, RequestError, readBuildRequest } from '@coold/builder-core';

const maxBytes = 1 << 20;

/** @throws RequestError naming the field, or the file where it is no request at all */
export async function readRequestFile(path: string): Promise<BuildRequest> {
  return readBuildRequest(parse(await read(path)));
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
    throw new RequestError('request.json', `cannot be read: ${(error as Error).message}`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RequestError('request.json', `is not JSON: ${(error as Error).message}`);
  }
}
