import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directoryOf } from '../../../test/dns-questions.ts';
import { wireName } from './names.ts';
import { createZone } from './zone.ts';

const directory = directoryOf({
  'web.default': ['10.210.0.9'],
  'web.shop': ['10.210.0.5', '10.210.1.5'],
  'web_1.far': ['10.210.2.5'],
});
const zone = createZone({ name: 'coolify.internal', namespaces: ['shop', 'empty', 'default'], directory });
const find = (name: string) => zone.find(wireName(name.toLowerCase())).kind;

describe('the zone', () => {
  it.each([
    ['web.shop.coolify.internal', 'endpoints'],
    ['WEB.Shop.COOLIFY.internal', 'endpoints'],
    // Of a namespace that only other hosts have.
    ['web_1.far.coolify.internal', 'endpoints'],
    ['coolify.internal', 'apex'],
    ['5.0.210.10.in-addr.arpa', 'pointers'],
    ['6.0.210.10.in-addr.arpa', 'no pointer'],
    ['5.0.9.10.in-addr.arpa', 'outside'],
    ['shop.coolify.internal', 'empty'],
    ['empty.coolify.internal', 'empty'],
    ['far.coolify.internal', 'empty'],
    ['web.coolify.internal', 'missing'],
    ['nosuch.coolify.internal', 'missing'],
    ['db.shop.coolify.internal', 'missing'],
    ['web.empty.coolify.internal', 'missing'],
    ['a.web.shop.coolify.internal', 'missing'],
    ['internal', 'outside'],
    ['example.com', 'outside'],
    ['xcoolify.internal', 'outside'],
    ['coolify.internal.example', 'outside'],
    ['web.default', 'relative'],
    ['nosuch.default', 'relative'],
    // `shop` is a public top-level domain.
    ['web.shop', 'outside'],
    // Not configured here, so it may be a name of the internet.
    ['web_1.far', 'outside'],
  ])('%s: %s', (name, kind) => expect(find(name)).toBe(kind));

  it('has nothing of a name that only looks like its own: a label may hold any bytes', () => {
    const inside = `${String.fromCharCode(1 + zone.wire.length - 1)}x${zone.wire.slice(0, -1)}\0`;
    expect(zone.find(inside)).toEqual({ kind: 'outside' });
    expect(zone.find('\0')).toEqual({ kind: 'outside' });
  });

  it('says neither yes nor no of what it cannot know yet', () => {
    const early = createZone({ name: 'z', namespaces: ['shop'], directory: directoryOf({}, false) });
    expect(early.find(wireName('web.shop.z'))).toEqual({ kind: 'unknown' });
    // It may be a namespace that only other hosts have.
    expect(early.find(wireName('web.z'))).toEqual({ kind: 'unknown' });
    expect(early.find(wireName('shop.z'))).toEqual({ kind: 'empty' });
    expect(early.find(wireName('5.0.210.10.in-addr.arpa'))).toEqual({ kind: 'unknown' });
  });

  it('holds exactly the names below it, however deep', () => {
    const label = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
    fc.assert(
      fc.property(fc.array(label, { maxLength: 5 }), fc.boolean(), (labels, isBelow) => {
        const name = [...labels, ...(isBelow ? ['coolify', 'internal'] : ['coolify', 'example'])].join('.');
        expect(find(name) === 'outside').toBe(!isBelow);
      }),
    );
  });
});
