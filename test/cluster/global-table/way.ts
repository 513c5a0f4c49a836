import { Endpoint, type Request } from './endpoint.ts';
import { classify } from './tables.ts';
import { type Answer, refusal } from './wire.ts';

/** A region's endpoint for some of its clients; its faults do not affect the others. */
export interface Way {
  readonly endpoint: string;
  /** Writing requests that were not refused here. */
  readonly writes: number;
  /** Breaks these clients' connections until `comeBack`. */
  goDark(): void;
  comeBack(): void;
  /** Whether their writes are refused as if for missing rights; they can still read. */
  refuseWrites(isRefused: boolean): void;
}

const REFUSAL = refusal(400, 'AccessDeniedException', 'This way into the region does not take writes');

/** Opens an endpoint to `handle`, which the caller stops. */
export async function openWay(
  handle: (request: Request) => Promise<Answer>,
  onFailure: (error: unknown) => void,
): Promise<Way & { stop(): Promise<void> }> {
  let isRefused = false;
  let writes = 0;

  async function pass(request: Request): Promise<Answer> {
    if (classify(request) === 'write') {
      if (isRefused) return REFUSAL;
      writes += 1;
    }
    return handle({ ...request, isByWay: true });
  }

  const endpoint = await Endpoint.start(pass, onFailure);
  return {
    endpoint: endpoint.url,
    get writes() {
      return writes;
    },
    goDark: () => endpoint.goDark(),
    comeBack: () => endpoint.comeBack(),
    refuseWrites(refused) {
      isRefused = refused;
    },
    stop: () => endpoint.stop(),
  };
}
