import { expect, it } from 'vitest';
import { defaultShell, normalise } from './normalise.ts';
import { readContainerfile } from './parse.ts';
import { inRepository } from './refusal.ts';
import { renderInstruction } from './render.ts';

const rendered = (line: string, shell: readonly string[] = defaultShell) =>
  readContainerfile(`FROM a\n${line}\n`)
    .instructions.map(one => renderInstruction(normalise(one, shell, inRepository)))
    .at(-1);

const bash = ['/bin/bash', '-o', 'pipefail', '-c'];

it.each([
  ['CMD a "$B" \\\n  c', 'CMD ["/bin/bash","-o","pipefail","-c","a \\"$B\\"   c"]'],
  ['ENTRYPOINT a', 'ENTRYPOINT ["/bin/bash","-o","pipefail","-c","a"]'],
  ['CMD ["a", "b"]', 'CMD ["a","b"]'],
  ['HEALTHCHECK CMD a', 'HEALTHCHECK CMD a'],
  ['ONBUILD CMD a', 'ONBUILD CMD a'],
])('gives %j to the shell of its place', (line, under) => {
  expect(rendered(line, bash)).toBe(under);
});

it.each(['CMD a b', 'ENTRYPOINT a', 'CMD [ a ]'])('leaves %j to the default shell as it is', line => {
  expect(rendered(line)).toBe(line);
});

it.each([
  ['EXPOSE 1000-1002 53/udp', 'EXPOSE 1000 1001 1002 53/udp'],
  ['EXPOSE 7-8/udp 9-9/TCP', 'EXPOSE 7/udp 8/udp 9/TCP'],
  ['ONBUILD EXPOSE 7-8', 'ONBUILD EXPOSE 7 8'],
  ['EXPOSE 8-7 $A-9 70000-70001 1-', 'EXPOSE 8-7 $A-9 70000-70001 1-'],
  ['EXPOSE 1-65535', 'EXPOSE 1-65535'],
  ['EXPOSE 1-1000', `EXPOSE ${Array.from({ length: 1000 }, (_, at) => at + 1).join(' ')}`],
])('%j exposes each port of a range', (line, each) => {
  expect(rendered(line)).toBe(each);
});
