/**
 * One seed for all generated inputs of a run: `SEED` from the environment, or a fresh one chosen by vitest.config.ts.
 * `SEED=… npx vitest run <file>` gives every property of that file the same inputs in the same order.
 */
import fc from 'fast-check';

const seed = Number(process.env['SEED']);
if (!Number.isInteger(seed)) throw new Error(`SEED must be a whole number, not "${process.env['SEED']}"`);
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
