/** The loopback address where coold answers the host itself, apart from those of systemd-resolved. */
export const hostServer = '127.0.64.53';

/** Used in place of a namespace's name for this listener. It is no DNS label, so no namespace has it. */
export const hostListener = '(this host)';
