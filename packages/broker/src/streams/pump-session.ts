import type { ServerResponse } from 'node:http';
import { encodeStreamError } from '@coold/proto';
import type { Ending, News, Opening, Session } from './session.ts';

/** How a reply writes what a session yields. */
export interface Rendering {
  output(news: Extract<News, { kind: 'output' }>): string | Uint8Array;
  /** Returns the last bytes; may be empty. */
  ending(ending: Ending): string;
}

/** For a stream whose output consists of JSON lines: they are passed on unchanged, and an error is a line of its own. */
export function asLines(): Rendering {
  let isBetweenLines = true;
  return {
    output({ data }) {
      isBetweenLines = data.at(-1) === 0x0a;
      return data;
    },
    ending: ending =>
      ending.kind === 'ended'
        ? ''
        : `${isBetweenLines ? '' : '\n'}${JSON.stringify(encodeStreamError(ending.failure))}\n`,
  };
}

/** Returns how a session begins. Closes the session when its reply ends or its caller leaves. */
export function openingFor(response: ServerResponse, session: Session): Promise<Opening> {
  response.once('close', () => session.close());
  if (response.destroyed) session.close();
  return session.opening;
}

/** Writes a session into a reply whose head was sent, until it ends, as fast as the reader takes it. */
export function pumpSession(response: ServerResponse, session: Session, { output, ending }: Rendering): void {
  function pump(): void {
    while (!response.writableNeedDrain && !response.writableEnded) {
      const news = session.next();
      if (news === undefined) return;
      if (news.kind !== 'output') return void response.end(ending(news));
      const { length } = news.data;
      response.write(output(news), error => {
        if (error == null) session.taken(length);
      });
    }
  }
  response.on('drain', pump);
  session.onNews(pump);
  pump();
}
