import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import type { VerifyCheckpoint } from '../checkpoint.ts';
import { ALL_FINDING_KINDS, NOTHING_VERIFIED } from '../totals.ts';

const IDENTITIES = ['equal', 'differing', 'missing', 'skipped', 'unsettled'] as const;

/** Registers a comparison's metrics, all present from the start; returns a function to call with every checkpoint. */
export function createVerifyMetrics(registry: Registry): (checkpoint: VerifyCheckpoint) => void {
  const registers = [registry];
  const identities = new Gauge({
    name: 'edge_migration_verify_identities',
    help: "Core's identities of this range by what was found of them in Edge",
    labelNames: ['outcome'],
    registers,
  });
  const findings = new Gauge({
    name: 'edge_migration_verify_findings',
    help: 'Findings of this range by kind',
    labelNames: ['kind'],
    registers,
  });
  const candidates = new Gauge({
    name: 'edge_migration_verify_candidates',
    help: 'Differences that are to be compared again',
    registers,
  });
  const units = new Gauge({
    name: 'edge_migration_verify_units',
    help: 'DynamoDB units that this range has used',
    labelNames: ['kind'],
    registers,
  });
  collectDefaultMetrics({ register: registry });

  function show({ totals, candidates: left }: Pick<VerifyCheckpoint, 'totals' | 'candidates'>): void {
    for (const outcome of IDENTITIES) identities.set({ outcome }, totals[outcome]);
    for (const kind of ALL_FINDING_KINDS) findings.set({ kind }, totals.found[kind]);
    candidates.set(left);
    units.set({ kind: 'read' }, totals.readUnits);
    units.set({ kind: 'write' }, totals.writeUnits);
  }

  show({ totals: NOTHING_VERIFIED, candidates: 0 });
  return show;
}
