/** Returns the message of an error and those of errors during its clean-up, one per line. */
export function messagesOf(error: unknown): string[] {
  if (error instanceof SuppressedError) return [...messagesOf(error.suppressed), ...messagesOf(error.error)];
  return [error instanceof Error ? error.message : String(error)];
}
