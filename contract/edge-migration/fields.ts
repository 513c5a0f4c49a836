import { z } from 'zod';

/*
 * Types of a status's fields. Lengths of texts and lists are told to the API server, which refuses to store more; what
 * it has stored is read whatever its length, so that a part is not lost for a bound that another release has moved.
 */

export const time = z.iso.datetime({ offset: true });
/** An int64 of the API. */
export const count = z.int().min(0);
/** An int32 of the API: what the stores' sizes cannot make larger. */
export const smallCount = z.int32().min(0);
export const text = (maxLength: number) => z.string().meta({ maxLength });
export const listOf = <T extends z.ZodType>(maxItems: number, item: T) => z.array(item).meta({ maxItems });

/** Name of a ConfigMap in the operator's namespace. */
export const reportName = text(253);
