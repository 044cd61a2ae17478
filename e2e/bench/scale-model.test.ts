import { expect, test } from 'vitest';
import { brokerMemory, needsOf, takeInSeconds } from './scale-model.ts';

const fleet = { containersPerHost: 20, changesPerHostHour: 6, dispatchesPerHostMinute: 6 };

test('a small fleet has one broker and a spare', () => {
  expect(needsOf({ hosts: 1000, ...fleet })).toEqual({
    brokers: 2,
    hostsPerBroker: 1000,
    brokerMb: 108 + 29,
    brokerCpuPercent: expect.closeTo((1000 * (2.15 + 12)) / 10_000),
    takeInS: expect.closeTo(0.84),
    rowsPerSecond: expect.closeTo(1000 / 300 + 2 / 10 + 6000 / 3600),
    rows: 20_000 + 3000 + 2,
    directoryMb: expect.closeTo(5),
  });
});

test('hosts are spread over as many brokers as the limit per broker requires', () => {
  const brokers = (hosts: number) => {
    const needs = needsOf({ hosts, ...fleet });
    return [needs.brokers, needs.hostsPerBroker];
  };
  expect([1, 10_000, 10_001, 100_000].map(brokers)).toEqual([
    [2, 1],
    [2, 10_000],
    [3, 5001],
    [11, 10_000],
  ]);
});

test('the needs of one broker grow with its hosts', () => {
  expect([0, 10_000].map(brokerMemory)).toEqual([108, 398]);
  expect([0, 10_000].map(takeInSeconds)).toEqual([0.2, expect.closeTo(6.6)]);
});
