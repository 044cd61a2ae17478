import type { DescMessage } from '@bufbuild/protobuf';
import type { Verb } from '@coold/proto';

// The PHP names of the elements of the .proto.

/** `containers.create` → `ContainersCreate`. */
export function commandClass({ name }: Verb): string {
  return pascal(name);
}

/** `host_mgmt_ip` → `hostMgmtIp`. */
export function camel(name: string): string {
  const text = pascal(name);
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

/** `host_not_connected` → `HostNotConnected`. */
export function pascal(name: string): string {
  return name
    .split(/[._]/)
    .map(word => `${word.charAt(0).toUpperCase()}${word.slice(1)}`)
    .join('');
}

/** Returns the class name of an answer: `ContainersCreateResponse` → `ContainersCreateAnswer`. */
export function dataClass({ name }: DescMessage): string {
  return name.replace(/Response$|Resp$/, 'Answer');
}

/** Returns the class name of a part of a request: `FirewallAllowRequest` → `FirewallAllow`. */
export function inputClass({ name }: DescMessage): string {
  return name.replace(/Request$/, '');
}

/** Returns a text as a PHP string literal. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** Returns a doc comment with lines of at most `width` characters. */
export function docComment(lines: readonly string[], indent = ''): string {
  const given = lines.filter(line => line !== '');
  if (given.length === 0) return '';
  const wrapped = given.flatMap(line => wrap(line.replaceAll('*/', '* /'), 116 - indent.length));
  if (wrapped.length === 1) return `${indent}/** ${wrapped[0]} */\n`;
  return `${indent}/**\n${wrapped.map(line => `${indent} * ${line}\n`).join('')}${indent} */\n`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
