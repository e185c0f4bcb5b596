import { expect, test } from 'vitest';
import { Breaker } from './breaker.ts';

test('the breaker opens at the last failure allowed in a row, and a success starts the count anew', () => {
  const breaker = new Breaker(3);
  breaker.failed(100);
  breaker.failed(100);
  breaker.succeeded();
  breaker.failed(100);
  breaker.failed(100);
  expect(breaker.state).toBe('closed');
  breaker.failed(100);
  expect(breaker.state).toBe('open');
  expect(breaker.mayPass(99)).toBe(false);
});

test('when its time has come one attempt decides: success closes it, failure opens it again', () => {
  const breaker = new Breaker(1);
  breaker.failed(100);
  expect(breaker.mayPass(100)).toBe(true);
  expect(breaker.state).toBe('half-open');
  breaker.failed(300);
  expect(breaker.mayPass(299)).toBe(false);
  expect(breaker.mayPass(300)).toBe(true);
  breaker.succeeded();
  expect(breaker.state).toBe('closed');
  expect(breaker.failures).toBe(0);
});

test('a failure that would meet every attempt opens it at once', () => {
  const breaker = new Breaker(100);
  breaker.trip(50);
  expect(breaker.state).toBe('open');
});

test('a straggler failing while it is open never shortens the wait', () => {
  const breaker = new Breaker(1);
  breaker.failed(500);
  breaker.failed(200);
  expect(breaker.retryAtMs).toBe(500);
  breaker.failed(600);
  expect(breaker.retryAtMs).toBe(600);
});

test('an operator can bring the next attempt forward', () => {
  const breaker = new Breaker(1);
  breaker.failed(500);
  breaker.hurry(10);
  expect(breaker.mayPass(10)).toBe(true);
});
