import { z } from 'zod';

/*
 * Types of a status's fields. The API server enforces the lengths of strings and lists on writes; stored ones are read
 * at any length, so that a part is not lost because another release has changed a bound.
 */

export const time = z.iso.datetime({ offset: true });
/** An int64 of the API. */
export const count = z.int().min(0);
/** An int32 of the API, for numbers that do not grow with the stores. */
export const smallCount = z.int32().min(0);
export const boundedText = (maxLength: number) => z.string().meta({ maxLength });
export const listOf = <T extends z.ZodType>(maxItems: number, item: T) => z.array(item).meta({ maxItems });

/** Name of a ConfigMap in the operator's namespace. */
export const reportName = boundedText(253);
