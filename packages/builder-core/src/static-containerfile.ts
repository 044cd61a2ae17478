/** Where web servers made from nginx's image look. */
const webRoot = '/usr/share/nginx/html/';

/**
 * The containerfile of the static stack. Nothing of the repository is in it: the folder with its files is the build's whole
 * context, and the name of the base image can hold neither a space nor a line break.
 */
export function staticContainerfile(baseImage: string): string {
  return `FROM ${baseImage}\nCOPY . ${webRoot}\n`;
}
