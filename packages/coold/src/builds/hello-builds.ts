import { type HostedBuild, HostedBuild_State } from '@coold/proto';

/** Results that a Hello names at the most: as many as a broker remembers of one host, and a frame that it takes in. */
export const maxNamedResults = 2000;

/** Of a host's builds, oldest first, those that its Hello names: all that are not over, and the latest results. */
export function namedInHello(hosted: readonly HostedBuild[]): HostedBuild[] {
  const isOver = ({ state }: HostedBuild) => state === HostedBuild_State.FINISHED;
  let older = Math.max(0, hosted.filter(isOver).length - maxNamedResults);
  return hosted.filter(build => {
    if (!isOver(build) || older === 0) return true;
    older -= 1;
    return false;
  });
}
