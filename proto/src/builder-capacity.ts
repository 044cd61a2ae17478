/** Builds that one host may run at once: a coold takes no larger number, and a broker believes none. */
export const maxBuilderCapacity = 64;
