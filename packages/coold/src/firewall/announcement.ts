/** Something that happens again and again, for those who wait for the next time. */
export interface Announcement {
  announce(): void;
  /** Resolves when it is announced after this call. */
  next(): Promise<void>;
}

export function createAnnouncement(): Announcement {
  let waiting = Promise.withResolvers<void>();
  return {
    announce() {
      waiting.resolve();
      waiting = Promise.withResolvers<void>();
    },
    next: () => waiting.promise,
  };
}
