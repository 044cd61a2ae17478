const maxLength = 512;

/** `[registry[:port]/]path[/…][:tag][@sha256:…]`, or an image's id; nothing that names a transport or an option. */
const pattern = (() => {
  const domain = '[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?';
  const part = '[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*';
  const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
  return new RegExp(`^(?:${domain}/)?${part}(?:/${part})*(?::${tag})?(?:@sha256:[0-9a-f]{64})?$`);
})();

/** Prefixes with which Podman would read a local file or another store. `docker:` is not one of them: it is a well-known image. */
const transport =
  /^(?:atomic|containers-storage|dir|docker-archive|docker-daemon|oci|oci-archive|ostree|sif|tarball):/;

/** The expectation in errors about image references. */
export const imageReferenceExpected = `expected an image reference such as docker.io/library/nginx:alpine, at most ${maxLength} characters`;

/** Whether Podman and buildah can read a text only as the name of an image, and never as a file, another store or an option. */
export function isImageReference(text: string): boolean {
  return text.length <= maxLength && pattern.test(text) && !transport.test(text);
}
