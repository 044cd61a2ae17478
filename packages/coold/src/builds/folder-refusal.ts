import { VerbError } from '../api/verb-error.ts';

/** What keeps a work folder from being made, as the caller is told. */
export function folderRefusal(error: unknown): VerbError {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EEXIST':
    case 'ENOTEMPTY':
      return new VerbError(409, 'this host has a work folder of that request_id');
    case 'ENOSPC':
    case 'EDQUOT':
      return new VerbError(507, `no room for a work folder: ${message}`, { cause: error });
    default:
      return new VerbError(500, `the work folder cannot be made: ${message}`, { cause: error });
  }
}
