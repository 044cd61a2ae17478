import type { DescEnum, DescMessage, FileRegistry } from '@bufbuild/protobuf';

/** Numbers of FileDescriptorProto and DescriptorProto, of which the path of a source location is made. */
const part = { message: 4, enum: 5, field: 2, nestedMessage: 3, nestedEnum: 4, value: 2 } as const;

/**
 * Returns the comment above each message, field, enum and value of a registry that was read with source information, by full
 * name: `coolify.agent.v1.Mount.target`. Lines are joined to one text, and what has no comment is left out. Pure.
 */
export function commentsOf(registry: FileRegistry): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of registry.files) {
    const byPath = new Map(
      file.proto.sourceCodeInfo?.location.map(({ path, leadingComments }) => [
        path.join('.'),
        leadingComments,
      ]),
    );
    const add = (name: string, path: string) => {
      const text = (byPath.get(path) ?? '').replaceAll(/\s+/g, ' ').trim();
      if (text !== '') found.set(name, text);
    };
    const addEnum = (descriptor: DescEnum, path: string) => {
      add(descriptor.typeName, path);
      for (const [index, { name }] of descriptor.values.entries())
        add(`${descriptor.typeName}.${name}`, `${path}.${part.value}.${index}`);
    };
    const addMessage = (descriptor: DescMessage, path: string) => {
      add(descriptor.typeName, path);
      for (const [index, { name }] of descriptor.fields.entries())
        add(`${descriptor.typeName}.${name}`, `${path}.${part.field}.${index}`);
      for (const [index, nested] of descriptor.nestedEnums.entries())
        addEnum(nested, `${path}.${part.nestedEnum}.${index}`);
      for (const [index, { name }] of descriptor.proto.nestedType.entries()) {
        const nested = descriptor.nestedMessages.find(message => message.name === name);
        if (nested !== undefined) addMessage(nested, `${path}.${part.nestedMessage}.${index}`);
      }
    };
    for (const [index, message] of file.messages.entries()) addMessage(message, `${part.message}.${index}`);
    for (const [index, descriptor] of file.enums.entries()) addEnum(descriptor, `${part.enum}.${index}`);
  }
  return found;
}
