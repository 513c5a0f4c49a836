import { Endpoint, type Request } from './endpoint.ts';
import { classify } from './tables.ts';
import { type Answer, refusal } from './wire.ts';

/** An endpoint of a region for some of its clients: of what happens to it the others notice nothing. */
export interface Way {
  readonly endpoint: string;
  /** Requests that write and were not refused here. */
  readonly writes: number;
  /** These clients' connections break, until `comeBack`. */
  goDark(): void;
  comeBack(): void;
  /** Whether their writes are refused as for want of rights; they can read. */
  refuseWrites(isRefused: boolean): void;
}

const REFUSAL = refusal(400, 'AccessDeniedException', 'This way into the region does not take writes');

/** Opens a way to what `handle` does, which the caller stops. */
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
    return handle(request);
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
