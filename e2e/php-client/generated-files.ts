import type { DescMessage } from '@bufbuild/protobuf';
import { reasons } from '@coold/errors';
import { readVerbs } from '@coold/proto';
import { commandClass, dataClass, inputClass, pascal } from './names.ts';
import { commandFile, dataFile, exceptionFile, inputFile, reasonsFile, verbsFile } from './php-classes.ts';
import { hasClass } from './php-types.ts';

/** The folder of the PHP client's sources. */
const clientFolder = 'clients/php/src';

/** Returns the sources of the PHP client that follow from the .proto, by their paths below the root. Pure. */
export function phpClientFiles(): Map<string, string> {
  const verbs = [...readVerbs().values()];
  const inputs = reached(verbs.map(({ request }) => request));
  const datas = reached(verbs.map(({ response }) => response));
  // The request of a verb is its command, unless it is a part of another request too.
  const inner = new Set([...inputs].flatMap(message => partsOf(message)));
  const answers = verbs.flatMap(({ body, response }) =>
    body === undefined && response.fields.length > 0 ? [response] : [],
  );
  const dataParts = new Set([...datas].flatMap(message => partsOf(message)));
  const files: [string, string][] = [
    ...verbs.map((verb): [string, string] => [`Command/${commandClass(verb)}.php`, commandFile(verb)]),
    ...[...inner].map((message): [string, string] => [
      `Input/${inputClass(message)}.php`,
      inputFile(message),
    ]),
    ...[...new Set([...answers, ...dataParts])].map((message): [string, string] => [
      `Data/${dataClass(message)}.php`,
      dataFile(message),
    ]),
    ...reasons.map((reason): [string, string] => [
      `Exception/${pascal(reason.word)}.php`,
      exceptionFile(reason),
    ]),
    ['Exception/Reasons.php', reasonsFile()],
    ['Verbs.php', verbsFile(verbs)],
  ];
  return new Map(files.map(([path, text]) => [`${clientFolder}/${path}`, text]));
}

function partsOf(message: DescMessage): DescMessage[] {
  return message.fields.flatMap(({ message: part }) => (part !== undefined && hasClass(part) ? [part] : []));
}

function reached(messages: readonly DescMessage[]): Set<DescMessage> {
  const found = new Set<DescMessage>();
  const visit = (message: DescMessage) => {
    if (found.has(message)) return;
    found.add(message);
    for (const part of partsOf(message)) visit(part);
  };
  for (const message of messages) visit(message);
  return found;
}
