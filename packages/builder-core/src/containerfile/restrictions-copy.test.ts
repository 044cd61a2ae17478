import { expect, it } from 'vitest';
import { readContainerfile } from './parse.ts';
import { inRepository } from './refusal.ts';
import { checkRestrictions } from './restrictions.ts';

const check = (text: string) => checkRestrictions(readContainerfile(text).instructions, inRepository);
const refused = expect.objectContaining({
  code: 422,
  stage: 'stack',
  message: expect.stringMatching(/^line \d+: /),
});

it.each([
  'COPY --from=first /a /b',
  'COPY --from=0 /a /b',
  'COPY --from=Build_1 --chown=1:1 /a /b',
  'COPY --from=docker.io/library/nginx:alpine /a /b',
  'COPY --from=registry.example:5000/a/b:1 /a /b',
  `COPY --from=a@sha256:${'0'.repeat(64)} /a /b`,
  `COPY --chown="a:b" --chmod=755 --link $\{A} /b`,
  'COPY --parents --exclude=*.md a /b',
  'ADD --checksum=sha256:x --keep-git-dir=false http://x/a /b',
  'ADD https://x/a.git/b https://x/a.tar.gz http$ x$Y ./http /b',
  'ADD https://x/$V.tar.gz /b',
  'ADD --chown=$U:$G http://x/a /b',
  'COPY a --from=dir:/x',
  'RUN echo COPY --from=dir:/x',
  '# COPY --from=dir:/x',
  'ONBUILD COPY --from=first /a /b',
])('lets through %j', line => {
  expect(() => check(`FROM a\n${line}\n`)).not.toThrow();
});

it.each([
  'COPY --from=containers-storage:[vfs@/proc/self/cwd/checkout/g+/tmp/r]x /a /b',
  'COPY --from=tarball:/x /a /b',
  'COPY --from=docker://x/y /a /b',
  'COPY --from=oci:x /a /b',
  'COPY --from=$X /a /b',
  `COPY --from=a$\{X} /a /b`,
  'COPY --from="dir:/x" /a /b',
  'COPY --from=di\\r:/x /a /b',
  'COPY --fr"om"=dir:/x /a /b',
  'COPY --fr\\om=dir:/x /a /b',
  'COPY --from=first --from=dir:/x /a /b',
  'COPY --chown=1:1 --from=dir:/x /a /b',
  'COPY --chown=\u00e0--from=dir:/x /a /b',
  'COPY --chown="a --from=dir:/x" --from=dir:/x /a /b',
  'COPY --from= /a /b',
  'COPY --chown=1\ufeff --from=dir:/x /a /b',
  'copy\t--from=dir:/x /a /b',
  'ADD --from=dir:/x /a /b',
  // buildah ends a flag at single-byte spaces alone, and reads on after any other.
  ...['\u3000', '\u2003', '\u2028', '\u00a0', '\u0085', '\v', '\f', '\r'].map(
    space => `COPY --chown=1${space}x --from=containers-storage:[vfs@/any/where]y /a /b`,
  ),
  // Any flag of a COPY with this in it is one to buildah.
  'COPY --chown=containers-storage:[vfs@/any/where]x--from /a /b',
  'COPY --exclude=dir:/x--from /a /b',
  'COPY --checksum=sha256:x /a /b',
  // Cloned by the buildah of Debian 13, with a folder of the host for what comes after the colon.
  'ADD https://x/y.git /b',
  'ADD https://x/y.git#main:../../../etc /b',
  'ADD "https:"//x/y.git#main:../../../etc /b',
  'ADD ["https://x/y.git#main:../../../etc", "/b"]',
  'ONBUILD ADD https://x/y.git /b',
  'ONBUILD ADD https://x/$V /b',
  'ONBUILD ADD $V /b',
  'ONBUILD COPY --from=dir:/x /a /b',
  'ONBU\u0130LD COPY --from=dir:/x /a /b',
  'CO\\\nPY --from=\\\ndir:/x /a /b',
  '# escape=`\nCOPY --from=`\ndir:/x /a /b',
])('refuses %j', line => {
  expect(() => check(`FROM a\n${line}\n`)).toThrow(refused);
});
