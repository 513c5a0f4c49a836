import { expect, test } from 'vitest';
import { createOwnNaks, type Delivered } from './own-naks.ts';

const delivery = (deliveryCount: number, { seq = 1, timestampNanos = 7n } = {}): Delivered => ({
  ...{ seq, timestampNanos, redelivered: deliveryCount > 1 },
  info: { deliveryCount },
});

test('the next delivery of a naked message is recognised, once', () => {
  const ownNaks = createOwnNaks(10);
  ownNaks.remember(delivery(1))();
  expect([ownNaks.isNextDelivery(delivery(2)), ownNaks.isNextDelivery(delivery(3))]).toEqual([true, false]);
});

test('a delivery before NATS has read the nak is not the next one after it', () => {
  const ownNaks = createOwnNaks(10);
  const confirm = ownNaks.remember(delivery(1));
  const isNext = ownNaks.isNextDelivery(delivery(2));
  confirm();
  expect([isNext, ownNaks.isNextDelivery(delivery(3))]).toEqual([false, false]);
});

test('a delivery after one to another process is not the next one', () => {
  const ownNaks = createOwnNaks(10);
  ownNaks.remember(delivery(1))();
  expect(ownNaks.isNextDelivery(delivery(3))).toBe(false);
});

test('a message with the same sequence in a stream that lost its end is another one', () => {
  const ownNaks = createOwnNaks(10);
  ownNaks.remember(delivery(1))();
  expect(ownNaks.isNextDelivery(delivery(2, { timestampNanos: 8n }))).toBe(false);
});

test('no more naks are remembered than messages may be in flight', () => {
  const ownNaks = createOwnNaks(10);
  for (let seq = 1; seq <= 1000; seq++) ownNaks.remember(delivery(1, { seq }))();
  expect(ownNaks.size).toBe(10);
  expect([ownNaks.isNextDelivery(delivery(2, { seq: 1 })), ownNaks.isNextDelivery(delivery(2, { seq: 1000 }))]).toEqual(
    [false, true],
  );
});
