import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CursorError, createEventLog, type EventReader, type HostEventInit } from './event-log.ts';

const epoch = '0123456789ab';
const build = (requestId: string, state: string) => ({ type: 'build.state', build: { requestId, state } });
const rest = (reader: EventReader): HostEventInit[] => {
  const events: HostEventInit[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) events.push(next);
  return events;
};
const cursorOf = (events: readonly HostEventInit[]) => events.at(-1)?.cursor ?? expect.fail('no event');

function begun(options: Parameters<typeof createEventLog>[0] = {}) {
  const log = createEventLog({ epoch, clock: () => 1000, ...options });
  log.know('build a', build('a', 'queued'));
  log.begin();
  return log;
}

describe('a log of events', () => {
  it('begins with the state of everything, and reports each change from then on, once', () => {
    const log = begun();
    const reader = log.read(undefined);
    expect(rest(reader)).toEqual([
      {
        cursor: `${epoch}-0`,
        at: 1000n,
        type: 'begin',
        reason: '',
        known: [{ ...build('a', 'queued'), at: 1000n }],
      },
    ]);
    log.know('build a', build('a', 'queued'));
    expect(rest(reader)).toEqual([]);
    log.know('build a', build('a', 'running'));
    log.forget('build a', { type: 'build.removed', build: { requestId: 'a', state: 'running' } });
    log.forget('build a', { type: 'build.removed', build: { requestId: 'a', state: 'running' } });
    expect(rest(reader).map(({ type, cursor }) => [type, cursor])).toEqual([
      ['build.state', `${epoch}-1`],
      ['build.removed', `${epoch}-2`],
    ]);
    expect(reader.alive()).toMatchObject({ type: 'alive', cursor: `${epoch}-2` });
  });

  it('continues after a cursor, without a first event', () => {
    const log = begun();
    const cursor = cursorOf(rest(log.read(undefined)));
    log.know('build a', build('a', 'running'));
    const events = rest(log.read(cursor));
    expect(events).toMatchObject([{ type: 'build.state', build: { state: 'running' } }]);
    expect(rest(log.read(cursorOf(events)))).toEqual([]);
  });

  it('gives readers that connect together the same object with the state, and later ones the later state', () => {
    let now = 1000;
    const log = begun({ clock: () => now });
    const first = log.read(undefined).next();
    expect(log.read(undefined).next()).toBe(first);
    expect(log.read('ffffffffffff-3').next()).toMatchObject({ type: 'gap', reason: 'restarted' });
    const later = log.read(undefined);
    now = 3000;
    expect(later.next()).toMatchObject({ type: 'begin', at: 3000n });
    log.know('build a', build('a', 'running'));
    expect(log.read(undefined).next()).toMatchObject({ known: [{ build: { state: 'running' } }] });
  });

  it.each([
    ['ffffffffffff-3', 'restarted'],
    [`${epoch}-99`, 'unknown'],
  ])('of a cursor %s says a gap, and how everything is', (cursor, reason) => {
    const log = begun();
    log.know('build a', build('a', 'running'));
    expect(rest(log.read(cursor))).toMatchObject([
      { type: 'gap', reason, cursor: `${epoch}-1`, known: [{ build: { state: 'running' } }] },
    ]);
  });

  it('keeps the newest events, and reports a gap to readers that come late or read slowly', () => {
    const log = begun({ max: 3 });
    const slow = log.read(undefined);
    expect(rest(slow)).toHaveLength(1);
    for (let n = 1; n <= 4; n += 1) log.know('build b', build('b', String(n)));
    expect(rest(log.read(`${epoch}-0`))).toMatchObject([
      { type: 'gap', reason: 'too_old', cursor: `${epoch}-4` },
    ]);
    expect(rest(log.read(`${epoch}-1`))).toHaveLength(3);
    expect(rest(slow)).toMatchObject([
      { type: 'gap', reason: 'too_slow', known: [{ build: { requestId: 'a' } }, { build: { state: '4' } }] },
    ]);
  });

  it('takes nothing else for a cursor', () => {
    for (const text of ['', '5', 'x-1', `${epoch}-`, `${epoch}--1`, `${epoch}-1 `, `${epoch}-1e3`])
      expect(() => begun().read(text), text).toThrow(CursorError);
  });

  it('keeps the state of a limited number of things, and reports the events of all', () => {
    const log = begun({ maxTopics: 2 });
    const reader = log.read(undefined);
    rest(reader);
    for (const id of ['b', 'c', 'd']) log.know(`build ${id}`, build(id, 'queued'));
    expect(rest(reader)).toHaveLength(3);
    expect(log.read(undefined).next()?.known).toHaveLength(2);
  });

  it('whatever happens, and whenever it is read: nothing is missing but what a gap says, nothing comes twice', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.nat(5).map(n => ({ happen: n + 1 })),
            fc.constant({ read: true }),
            fc.constant({ resume: true }),
          ),
          { maxLength: 60 },
        ),
        steps => {
          const log = createEventLog({ epoch, max: 7, clock: () => 1 });
          log.begin();
          let total = 0;
          let reader = log.read(undefined);
          let cursor = '';
          let dealtWith = 0;
          const take = () => {
            for (const event of rest(reader)) {
              const number = Number(event.cursor?.split('-')[1]);
              if (event.type === 'gap') expect(number).toBe(total);
              else if (event.type !== 'begin') expect(number).toBe(dealtWith + 1);
              dealtWith = number;
              cursor = event.cursor ?? '';
            }
            expect(dealtWith).toBe(total);
          };
          take();
          for (const step of steps) {
            if ('happen' in step)
              for (let n = 0; n < step.happen; n += 1) {
                total += 1;
                log.know('x', build('x', String(total)));
              }
            else {
              if ('resume' in step) reader = log.read(cursor);
              take();
            }
          }
        },
      ),
    );
  });
});
