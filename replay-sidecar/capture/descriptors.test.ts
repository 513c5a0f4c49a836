import { describe, expect, it } from 'vitest';

import { affordableClients, readDescriptorLimit } from './descriptors.ts';

describe('the number of clients', () => {
  it.each([
    [512, 1_048_576, 512],
    [512, undefined, 512],
    [512, 1024, 428],
    [512, 256, 44],
    [512, 64, 1],
  ])('with %s wanted and %s descriptors is %s', (wanted, descriptors, clients) => {
    expect(affordableClients(wanted, descriptors)).toBe(clients);
  });

  it.runIf(process.platform === 'linux')('follows from the limit of this process', () => {
    expect(readDescriptorLimit()).toBeGreaterThan(100);
  });
});
