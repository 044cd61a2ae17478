/** The stacks that this builder has. The API accepts further names. */
export const buildableStacks = ['static', 'dockerfile'] as const;

/** A stack that this builder has. It decides which sandbox a build gets, so every `switch` over it must name each stack. */
export type BuildableStack = (typeof buildableStacks)[number];

/** Whether a value, for example `stack` of a request.json, names a stack that this builder has. */
export function isBuildableStack(value: unknown): value is BuildableStack {
  return buildableStacks.some(name => name === value);
}
