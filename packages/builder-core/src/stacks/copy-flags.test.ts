import { expect, it } from 'vitest';
import { checkCopyFlags } from './copy-flags.ts';

it.each([
  'COPY --from=first /a /b',
  'COPY --from=0 /a /b',
  'COPY --from=Build_1 --chown=1:1 /a /b',
  'COPY --from=docker.io/library/nginx:alpine /a /b',
  'COPY --from=registry.example:5000/a/b:1 /a /b',
  `COPY --from=a@sha256:${'0'.repeat(64)} /a /b`,
  `COPY --chown="a:b" --chmod=755 --link --checksum=sha256:x $\{A} /b`,
  'ADD --chown=$U:$G http://x/a /b',
  'COPY a --from=dir:/x',
  'RUN echo COPY --from=dir:/x',
  '# COPY --from=dir:/x',
  'ONBUILD COPY --from=first /a /b',
])('lets through %j', line => {
  expect(() => checkCopyFlags(`FROM a\n${line}\n`)).not.toThrow();
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
  'ONBUILD COPY --from=dir:/x /a /b',
  'ONBU\u0130LD COPY --from=dir:/x /a /b',
  'CO\\\nPY --from=\\\ndir:/x /a /b',
  '# escape=`\nCOPY --from=`\ndir:/x /a /b',
])('refuses %j', line => {
  expect(() => checkCopyFlags(`FROM a\n${line}\n`)).toThrow(/^COPY "--/);
});
