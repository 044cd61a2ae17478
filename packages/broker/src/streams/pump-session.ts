import type { ServerResponse } from 'node:http';
import { encodeStreamError } from '@coold/proto';
import type { Ending, News, Opening, Session } from './session.ts';

/** What a reply makes of what a session says. */
export interface Rendering {
  output(news: Extract<News, { kind: 'output' }>): string | Uint8Array;
  /** The last words; may be none. */
  ending(ending: Ending): string;
}

/** Of a stream whose output is JSON lines: passed on as they are, and an error on a line of its own. */
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

/** What becomes of a session whose caller this reply is for; one that leaves ends it. */
export function openingFor(response: ServerResponse, session: Session): Promise<Opening> {
  response.once('close', () => session.close());
  if (response.destroyed) session.close();
  return session.opening;
}

/** Writes a session into a reply whose head is out, to its end: as fast as its reader takes it, and no faster. */
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
