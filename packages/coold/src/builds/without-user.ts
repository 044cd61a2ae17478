/** A repository's address for a log: it may carry a password, and what it may hold is all up to the last @ of its host. */
export function withoutUser(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, '$1…@');
}
