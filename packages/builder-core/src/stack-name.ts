/** The stacks that this builder builds; of others the API knows no more than the name. */
export const buildableStacks = ['static', 'dockerfile'] as const;

/** What decides which sandbox a build gets: every `switch` over it has to name each of them. */
export type BuildableStack = (typeof buildableStacks)[number];

/** Whether a value, such as `stack` of a request.json, names a stack that this builder builds. */
export function isBuildableStack(value: unknown): value is BuildableStack {
  return buildableStacks.some(name => name === value);
}
