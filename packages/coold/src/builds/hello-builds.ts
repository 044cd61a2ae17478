import { type HostedBuild, HostedBuild_State } from '@coold/proto';

/** The most results that a Hello names. A broker remembers as many for one host, and the frame stays within its limit. */
export const maxNamedResults = 2000;

/** Returns the builds that Hello names: all that are not finished, and the latest results. @param hosted all builds, oldest first */
export function namedInHello(hosted: readonly HostedBuild[]): HostedBuild[] {
  const isOver = ({ state }: HostedBuild) => state === HostedBuild_State.FINISHED;
  let older = Math.max(0, hosted.filter(isOver).length - maxNamedResults);
  return hosted.filter(build => {
    if (!isOver(build) || older === 0) return true;
    older -= 1;
    return false;
  });
}
