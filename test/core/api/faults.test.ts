import { once } from 'node:events';
import { connect } from 'node:net';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseFaults } from './faults.ts';
import { CLIENT_KEY, createFixture, type Fixture } from './testing/fixture.ts';
import { holdLock } from './testing/lock.ts';

let core: Fixture;
beforeAll(async () => {
  core = await createFixture();
});
beforeEach(() => core.reset());
afterAll(() => core[Symbol.asyncDispose]());

const identify = (fault: string, init = {}) =>
  core.send('POST', 'identities/', {
    body: { identifier: 'ann', traits: [{ trait_key: 'a', trait_value: 1 }] },
    headers: { 'X-Fixture-Fault': fault },
    ...init,
  });

describe('A request that asks for a fault', () => {
  it('commits nothing when its worker dies before the view', async () => {
    await expect(identify('crash-before')).rejects.toThrow();
    expect(await core.identifiers()).toEqual([]);
  });

  it('commits only the identity when its worker dies after the first write', async () => {
    await expect(identify('crash-after-write=1')).rejects.toThrow();
    expect(await core.traits('ann')).toEqual({});
  });

  it.each(['crash-after', 'reset-after'])('commits everything but gets no answer with %s', async (fault) => {
    await expect(identify(fault)).rejects.toThrow();
    expect(await core.traits('ann')).toEqual({ a: 'int 1' });
  });

  it('commits before it waits for a lock, and is answered once the test releases it', async () => {
    const lock = await holdLock(core.databaseUrl, 1);
    const answer = identify('lock-after=1');
    await waitFor(lock.isAwaited, { for: 'the lock to be waited for' });
    expect(await core.traits('ann')).toEqual({ a: 'int 1' });
    await lock.release();
    expect((await answer).status).toBe(200);
  });

  it('can wait before it commits, and continues although its client has gone', async () => {
    const lock = await holdLock(core.databaseUrl, 2);
    const socket = connect(core.api.port, '127.0.0.1');
    socket.write(`GET /api/v1/identities/?identifier=bob HTTP/1.1\r\nHost: a\r\nX-Environment-Key: ${CLIENT_KEY}\r\n`);
    socket.write('X-Fixture-Fault: lock-before=2\r\n\r\n');
    await waitFor(lock.isAwaited, { for: 'the lock to be waited for' });
    socket.destroy();
    expect(await core.identifiers()).toEqual([]);
    await lock.release();
    await waitFor(async () => (await core.identifiers()).includes('bob'), { for: 'the identity' });
  });

  it('can be slow before and after the view', async () => {
    const waited: number[] = [];
    const clock = { ...systemClock, sleep: async (milliseconds: number) => void waited.push(milliseconds) };
    await using slow = await createFixture({ clock });
    const headers = { 'X-Fixture-Fault': 'delay-before=10, delay-after=20' };
    expect((await slow.send('GET', 'identities/?identifier=ann', { headers })).status).toBe(200);
    expect(waited).toEqual([10, 20]);
  });

  it('is never read with stop-reading, so that the client has to give up', async () => {
    const socket = connect(core.api.port, '127.0.0.1');
    socket.write(`POST /api/v1/identities/ HTTP/1.1\r\nHost: a\r\nX-Environment-Key: ${CLIENT_KEY}\r\n`);
    socket.write(`X-Fixture-Fault: stop-reading\r\nContent-Length: ${64 << 20}\r\n\r\n`);
    const chunk = Buffer.alloc(1 << 20, 0x20);
    // Buffers on the way fill up, and then nothing drains any more.
    const flood = (async () => {
      for (let sent = 0; sent < 64; sent++) if (!socket.write(chunk)) await once(socket, 'drain');
    })();
    flood.catch(() => {});
    await waitFor(() => socket.writableNeedDrain && socket.bytesWritten > 0, { for: 'the API to read no more' });
    expect(socket.bytesWritten).toBeLessThan(64 << 20);
    socket.destroy();
  });

  it('fails when the fault does not exist', async () => {
    expect(() => parseFaults('crash-afterwards')).toThrow('crash-afterwards');
    expect(() => parseFaults('delay-after=soon')).toThrow('delay-after');
    await expect(identify('crash-afterwards')).rejects.toThrow();
  });
});

describe('A worker of the Core API', () => {
  it('handles at most as many requests at a time as it has threads', async () => {
    await using single = await createFixture({ threads: 1 });
    const lock = await holdLock(single.databaseUrl, 3);
    const get = (identifier: string, fault: string) =>
      single.send('GET', `identities/?identifier=${identifier}`, { headers: { 'X-Fixture-Fault': fault } });
    const first = get('first', 'lock-before=3');
    await waitFor(lock.isAwaited, { for: 'the lock to be waited for' });
    const second = get('second', '');
    for (let query = 0; query < 20; query++) expect(await single.identifiers()).toEqual([]);
    await lock.release();
    await Promise.all([first, second]);
    expect(await single.identifiers()).toEqual(['first', 'second']);
  });

  it('finishes its requests when it is drained, and accepts no new ones', async () => {
    await using stopping = await createFixture();
    await using lock = await holdLock(stopping.databaseUrl, 4);
    const held = stopping.send('GET', 'identities/?identifier=ann', {
      headers: { 'X-Fixture-Fault': 'lock-before=4' },
    });
    await waitFor(lock.isAwaited, { for: 'the lock to be waited for' });
    const drained = stopping.api.drain();
    await expect(stopping.send('GET', 'identities/?identifier=bob')).rejects.toThrow();
    await lock.release();
    expect((await held).status).toBe(200);
    await drained;
    expect(await stopping.identifiers()).toEqual(['ann']);
  });

  it('ignores requested faults unless it is configured to accept them', async () => {
    await using deaf = await createFixture({ acceptFaults: false });
    const sent = { headers: { 'X-Fixture-Fault': 'crash-before' } };
    expect((await deaf.send('GET', 'identities/?identifier=ann', sent)).status).toBe(200);
  });

  it('can be configured with a fault for every request', async () => {
    await using broken = await createFixture({ fault: 'reset-after' });
    await expect(broken.send('GET', 'identities/?identifier=ann')).rejects.toThrow();
    expect(await broken.identifiers()).toEqual(['ann']);
  });

  it('closes each connection after the answer when keep-alive is off, and advertises no timeout', async () => {
    await using sync = await createFixture({ keepAliveSeconds: 0 });
    expect((await sync.send('GET', 'identities/')).headers.get('connection')).toBe('close');
    const { headers } = await core.send('GET', 'identities/');
    expect([headers.get('connection'), headers.get('keep-alive')]).toEqual(['keep-alive', null]);
  });
});
