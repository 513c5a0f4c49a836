import { z } from 'zod';

/** A region of AWS, such as `eu-west-2`. */
export const regionName = z
  .string()
  .max(64)
  .regex(/^[a-z]{2,}(-[a-z]+)+-[0-9]+$/, 'must be a region such as eu-west-2');
