// Only the command definitions: the code that signs is loaded when a command runs.
import { absolutePath, defineCommand, duration, list, type ValueType } from '@coold/runtime';
import { hostId } from '../hosts/host-id.ts';

/** A name in the claim `caps`. */
const capability: ValueType<string> = {
  expected: 'a name such as coold or builder',
  parse: value => (/^[a-z][a-z0-9_-]{0,31}$/.test(value) ? value : undefined),
};

/** `broker keygen`: creates the key pair with which Laravel signs and the broker verifies. */
export const keygenCommand = defineCommand({
  name: 'broker keygen',
  summary: 'creates an EC P-256 key pair for host tokens',
  options: {
    private: { type: absolutePath, required: true, help: 'Where the private key goes (mode 0600)' },
    public: { type: absolutePath, required: true, help: 'Where the public key goes (mode 0644)' },
  },
  check: paths =>
    paths.private === paths.public ? '--public is the file of --private: expected another' : undefined,
});

/** `broker token`: creates a token like the one that Laravel gives a host at enrollment. */
export const tokenCommand = defineCommand({
  name: 'broker token',
  summary: 'creates a host token and prints it',
  options: {
    key: { type: absolutePath, required: true, help: 'PEM private key (EC P-256, P-384 or RSA)' },
    hostId: { type: hostId, required: true, help: 'The host the token is for: claim sub' },
    caps: {
      type: list(capability),
      default: 'coold',
      help: 'What the token grants (claim caps), for example coold,builder',
    },
    ttl: { type: duration, default: '365d', help: 'How long the token is valid (claim exp)' },
  },
  check: ({ caps, ttl }) => {
    // Refuses to create a token that the broker would not accept.
    if (!caps.includes('coold')) return '--caps does not name coold: expected it among them';
    if (ttl < 1000) return '--ttl is under a second: expected more';
    return undefined;
  },
});
